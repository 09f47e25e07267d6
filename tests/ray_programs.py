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

BUNDLE_GONE = """
import shutil, sys
import pyarrow.parquet as pq
import pyarrow as pa
from sentido_score import Options
from sentido_score.scoring import open_engine
from sentido_score.scorer import batches
source, folder, other, address, *outs = sys.argv[1:]
engine = open_engine("ray", folder, Options(), ray_address=address)
shutil.rmtree(folder)
for out in outs:
    pq.write_table(pa.Table.from_batches(batches(source, engine, Options())), out)
    shutil.copytree(other, folder, dirs_exist_ok=True)
engine.close()
"""
