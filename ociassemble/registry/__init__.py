"""The distribution specification: pulling and pushing by digest, authentication, a small server, ORAS artifacts.

START in client.py. A name becomes endpoints (endpoints.py: scheme, mirrors), a request gets its credentials
(connection.py, auth.py, realm.py, credentials.py, challenge.py), an answer that is no success becomes a typed error
with a hint (errors.py). Pushing blobs is upload.py. server.py is the registry behind `ociassemble registry serve`.
"""
