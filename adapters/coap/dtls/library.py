"""pyOpenSSL with the names that it keeps to itself: it has no word for pre-shared keys, the library under it has.

The self-test looks for every one of them that is used.
"""

from typing import Any, Final

from OpenSSL import SSL

PRIVATE: Final[Any] = SSL
