import signal, socket

signal.signal(signal.SIGINT, signal.SIG_DFL)
address = ("127.0.0.1", 12345)
listening = socket.create_server(address, backlog=1)
waiting = [socket.create_connection(address) for _ in range(2)]
print("a backlog of 1, two connections, no accept", flush=True)
signal.pause()
