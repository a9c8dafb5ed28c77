import os
import socket

a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
a.send(b"one")
a.close()
print("stream:", b.recv(9), b.recv(9), b.recv(9))

a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
a.send(b"one")
a.send(b"")
a.send(b"two")
print("datagrams:", b.recv(9), b.recv(9), b.recv(9))

os.mkfifo("/tmp/f")
reader = os.open("/tmp/f", os.O_RDONLY | os.O_NONBLOCK)
print("FIFO, no writer:", os.read(reader, 9))
writer = os.open("/tmp/f", os.O_WRONLY)
os.write(writer, b"one")
print("FIFO, a writer:", os.read(reader, 9))
os.unlink("/tmp/f")
