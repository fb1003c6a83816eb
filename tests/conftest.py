"""What all tests share."""

import signal

# a shell that starts the tests in its background lets them ignore Ctrl-C, and their children, too
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
