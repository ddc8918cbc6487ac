"""A threaded WSGI server: `mini-server MODULE:APPLICATION [--bind ADDRESS:PORT]`.

It takes the listening socket that a supervisor hands to it (systemd's socket activation: LISTEN_PID,
LISTEN_FDS, descriptor 3), so that the socket outlives it and no connection is refused at a restart. On SIGTERM
it accepts no more, finishes what it has begun, and exits 0.
"""

import argparse
import importlib
import os
import signal
import socket
import socketserver
import sys
import threading
import time
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

FIRST_HANDED_DESCRIPTOR = 3


def main(arguments=None):
    options = _options(arguments)
    # Console scripts start with their own folder on the path, not with the one that the app is in.
    sys.path.insert(0, os.getcwd())
    module, _, name = options.application.partition(":")
    application = getattr(importlib.import_module(module), name or "application")
    serve(application, handed_socket() or _bound_socket(options.bind))


def serve(application, listener):
    server = _Server(listener)
    server.set_app(application)

    def stop_accepting():
        _log("mini-server: pid {} finishes what it has begun".format(os.getpid()))
        server.shutdown()

    # From a thread: `shutdown` waits for `serve_forever`, which this very thread is running.
    stop = threading.Thread(target=stop_accepting)
    signal.signal(signal.SIGTERM, lambda *_: stop.ident or stop.start())
    signal.signal(signal.SIGINT, lambda *_: stop.ident or stop.start())
    _log("mini-server: pid {} serves on {}:{}".format(os.getpid(), *listener.getsockname()[:2]))
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    _log("mini-server: pid {} has ended".format(os.getpid()))


def handed_socket():
    """The socket that a supervisor opened for this very process, or None."""
    descriptors = os.environ.pop("LISTEN_FDS", "0")
    if os.environ.pop("LISTEN_PID", "") != str(os.getpid()) or descriptors == "0":
        return None
    os.set_inheritable(FIRST_HANDED_DESCRIPTOR, False)
    return socket.socket(fileno=FIRST_HANDED_DESCRIPTOR)


def _bound_socket(address):
    host, _, port = address.rpartition(":")
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host or "127.0.0.1", int(port)))
    listener.listen(128)
    return listener


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = False  # server_close waits for the requests under way

    def __init__(self, listener):
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_name, self.server_port = listener.getsockname()[:2]
        self.setup_environ()

    def get_request(self):
        connection, address = super().get_request()
        # On macOS an accepted socket inherits a non-blocking mode that the supervisor may have set.
        connection.setblocking(True)
        return connection, address

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # the client went away
            super().handle_error(request, client_address)


class _Handler(WSGIRequestHandler):
    timeout = 2  # a client that connects and says nothing must not hold up a restart

    def handle(self):
        started = time.monotonic()
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.requestline, self.request_version, self.command = "", "", ""
            self.send_error(414)
            return
        if not self.parse_request():
            return
        handler = _Gateway(self.rfile, self.wfile, self.get_stderr(), self.get_environ(), multithread=True)
        handler.request_handler = self
        handler.run(self.server.get_app())
        status, elapsed = handler.sent_status, (time.monotonic() - started) * 1000
        _log('{} "{}" {} {:.0f}ms'.format(self.client_address[0], self.requestline, status, elapsed))

    def log_message(self, format, *arguments):
        _log("{} {}".format(self.client_address[0], format % arguments))


class _Gateway(ServerHandler):
    sent_status = "-"

    def start_response(self, status, headers, exc_info=None):
        self.sent_status = status.split(" ", 1)[0]
        return super().start_response(status, headers, exc_info)

    def close(self):
        # Not ServerHandler's, which logs too.
        super(ServerHandler, self).close()


def _log(line):
    sys.stdout.write("{} {}\n".format(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), line))
    sys.stdout.flush()


def _options(arguments):
    parser = argparse.ArgumentParser(prog="mini-server")
    parser.add_argument("application", metavar="MODULE:APPLICATION")
    parser.add_argument("--bind", default="127.0.0.1:8000", metavar="ADDRESS:PORT")
    return parser.parse_args(arguments)
