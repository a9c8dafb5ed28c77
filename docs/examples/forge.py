import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind(("127.0.0.1", 12346))
    sock.sendto(b"Hello!", ("127.0.0.1", 12345))
