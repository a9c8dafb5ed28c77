import socket

with socket.create_server(("127.0.0.1", 12345)) as listening:
    print("ready", flush=True)
    connection, peer = listening.accept()
    with connection:
        connection.sendall(connection.recv(4096))
