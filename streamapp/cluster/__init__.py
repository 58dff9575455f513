"""Streams and models on several machines, behind one server: `serve --cluster ADDRESS`.

membership.py     this process as a part of the cluster     node_process.py   `cluster up`: Ray's processes of a machine
cluster_host.py   the cluster as a ModelHost                messages.py       what crosses of jobs
remote_device.py  one device, asked from elsewhere          device_actor.py   that device, where it is
launcher.py       a worker, as the server sees it           owner_actor.py    what starts that worker, where it is
tunnel.py         its connections, carried by calls         engine.py         the models of one device
ray_node.py       Ray: the one file that imports it
"""
