import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.sendto("Hello from Python!".encode(), ("127.0.0.1", 12345))
    print(sock.recvfrom(65507)[0].decode())
