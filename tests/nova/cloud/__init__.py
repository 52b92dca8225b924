"""A real Keystone, Nova and Placement on 127.0.0.1, whose hypervisors are the only thing made up.

Two processes, both started with the path of a plan (`plan.py`): `cloud.identity` is Keystone, `cloud.control` is
everything else. `cloud.template` makes the databases that each cloud starts with.
"""
