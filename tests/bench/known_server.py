"""An echo server as Python's standard library offers it, with a 64 KiB buffer.

usage: known_server.py thread|fork tcp|PATH
"""

import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


model, place = sys.argv[1:]
mixin = getattr(
    socketserver, "ThreadingMixIn" if model == "thread" else "ForkingMixIn"
)
kind = (
    socketserver.TCPServer if place == "tcp" else socketserver.UnixStreamServer
)


class Server(mixin, kind):
    request_queue_size = 128
    daemon_threads = True


with Server(("127.0.0.1", 0) if place == "tcp" else place, Echo) as server:
    name = server.server_address
    print("ready on", name if place != "tcp" else "%s:%d" % name,
          file=sys.stderr, flush=True)
    server.serve_forever()
