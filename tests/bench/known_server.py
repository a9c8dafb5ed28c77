# known_server.py - an echo server as Python's standard library offers it, with
# a thread for each client. Standard input is a socket that listens.
import socket
import socketserver


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(64 * 1024):
            self.request.sendall(data)


server = socketserver.ThreadingTCPServer(None, Echo, bind_and_activate=False)
server.socket = socket.socket(fileno=0)
server.serve_forever()
