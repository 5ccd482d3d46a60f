"""The HTTP API: routes by topic. A route reads the request, calls one use case and answers; it decides nothing."""
