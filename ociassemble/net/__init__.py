"""The wire: HTTP as this program speaks it. The only room that imports requests.

Every request goes through one `Wire` (wire.py): TLS from the system's trust, proxies as told, no netrc, no cookies,
redirects by our own policy (redirect.py), raw bytes, timeouts and a progress watchdog, retries with back-off
(backoff.py), typed errors (errors.py). `download.fetch` brings a file into a store by its digest.
"""
