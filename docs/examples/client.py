import socket

with socket.create_connection(("127.0.0.1", 12345)) as connection:
    connection.sendall("Hello from Python, 你好!\n".encode())
    connection.shutdown(socket.SHUT_WR)
    for line in connection.makefile():
        print(line, end="")
