"""Stand in for valkey-cli, which the embedded server's wheel lacks: ``valkey-cli -p PORT ping``."""

import os
import sys

from redis import Redis
from redis.exceptions import RedisError

_, port_option, port, command = sys.argv
assert (port_option, command) == ("-p", "ping"), sys.argv
try:
    answer = Redis(port=int(port), password=os.environ["REDISCLI_AUTH"]).ping()
except RedisError as error:
    sys.exit(f"Could not connect: {error}")
print("PONG" if answer else "nothing")
