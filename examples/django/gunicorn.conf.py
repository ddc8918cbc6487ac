# The address comes with the socket that the supervisor hands over (LISTEN_FDS).
workers = 1
threads = 4
accesslog = "-"
# Less than the time that a supervisor gives the app to end.
graceful_timeout = 2
# One file in the user's home cannot serve several apps of that user. Older versions do not know it.
control_socket_disable = True
