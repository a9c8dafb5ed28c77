import socket, sys

with socket.create_server((sys.argv[1], int(sys.argv[2]))) as listening:
    print("ready", flush=True)
    while True:
        connection, peer = listening.accept()
        with connection:
            while message := connection.recv(65536):
                connection.sendall(message[:4] + message[4:].upper())
