import socket

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    sock.bind(("127.0.0.1", 12345))
    print("ready", flush=True)
    question, client = sock.recvfrom(65507)
    sock.sendto(question.upper(), client)
