"""The courier on Lambda: an Exchange in threads, over connections that are kept.

It stands on the transport adapter of requests. Its Session is left out: what that adds (cookies,
redirects whose bodies it reads whole, proxies and .netrc out of the environment) is what a gateway
must not have. Adapter, pool and connection are subclassed because that is how requests and urllib3
want the way of connecting to be replaced.
"""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, TimeoutError as ...
