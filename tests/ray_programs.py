"""Programs around Ray, run in processes of their own: its warnings are not this project's."""

CLUSTER = """
import ray, sys
context = ray.init(
    num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error"
)
print(context.address_info["address"], flush=True)
sys.stdin.read()
"""

MAP_BATCHES = """
import sys
import pyarrow.parquet as pq
import ray
from sentido_score import Scorer
source, out, address = sys.argv[1:]
ray.init(address=address, log_to_driver=False, logging_level="error")
data = ray.data.read_parquet(source).map_batches(
    Scorer, batch_format="pyarrow", batch_size=None, compute=ray.data.ActorPoolStrategy(size=1)
)
(table,) = data.iter_batches(batch_size=None, batch_format="pyarrow")
pq.write_table(table.sort_by("id"), out)
"""
