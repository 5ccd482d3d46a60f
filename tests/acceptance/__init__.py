"""The deployed stack, driven from outside: HTTP, webhooks, schedules, queues and the vendors' simulators.

All a test knows of the stack is its `stack.json` (.local/test/, or what REVOPS_STACK names).
"""
