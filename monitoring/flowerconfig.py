"""What Flower shows; given to it as ``--conf=monitoring/flowerconfig.py``."""

natural_time = False
tasks_columns = "name,uuid,state,args,result,received,started,runtime,worker"
# Flower keeps tasks in memory only, and the oldest go first; the ledger keeps them all.
max_tasks = 20_000
