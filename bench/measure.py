"""What the benches share: competitors run in turn, and a table of what they cost.

Each round runs every competitor once, one after the other, so that a machine that slows down slows all of them, and each round
starts with the next one, since whoever comes first finds the memory in another state. The figures are medians over the rounds, the
ratios medians of the ratios within a round. Files are in the page cache.
"""
import glob
import os
import statistics
import subprocess
import sys

top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
cache = os.environ.get("ELFMEND_CACHE") or os.path.expanduser("~/.cache/elfmend")
missed = []
os.environ["LC_ALL"] = "C"
os.environ.pop("LD_LIBRARY_PATH", None)


def build_cost(scratch):
    subprocess.run([os.environ.get("CC", "cc"), "-O1", "-o", f"{scratch}/cost", f"{top}/bench/cost.c"], check=True)


class Failed(Exception):
    pass


def cost(scratch, command, statuses=(0,)):
    """Wall seconds, CPU seconds, peak memory in KiB."""
    out = subprocess.run([f"{scratch}/cost", *command], capture_output=True, text=True)
    last = out.stdout.splitlines()[-1]  # whoever talks does so before
    wall, cpu, memory, status = last.split()
    if int(status) not in statuses:
        raise Failed(f"{' '.join(command)[:200]}: exit status {status}\n{out.stderr}")
    return float(wall), float(cpu), int(memory)


def compare(scratch, title, competitors, floor, column, rounds, once=(), peers=()):
    """competitors: name -> (command, statuses, pattern of the output, None, or what clears away). One table, each line a ratio to floor in wall (0) or
    CPU seconds (1). Those in once take minutes and run in the first round alone; of those in peers one that fails is named, and left
    out. Gives name -> (ratio, wall, cpu, memory in MB, size of the output)."""
    runs = {name: [] for name in competitors}
    sizes, refused = {}, {}
    order = list(competitors)
    for turn in range(rounds):
        for name in order[turn % len(order):] + order[:turn % len(order)]:
            command, statuses, output = competitors[name]
            if name in refused or turn > 0 and name in once:
                continue
            try:
                runs[name].append(cost(scratch, command, statuses))
            except Failed as failed:
                if name not in peers:
                    sys.exit(f"bench: {failed}")
                refused[name] = str(failed).strip().splitlines()[-1]
                continue
            if callable(output):
                output()
                continue
            for made in glob.glob(output) if output else ():
                sizes[name] = os.stat(made).st_size
                os.unlink(made)
    print(f"\n{title}; {rounds} rounds" + (", one of those marked *" if set(once) & set(order) else ""))
    print(f"  {'':42} {'x the first':>12} {'wall s':>8} {'cpu s':>8} {'memory MB':>10}" + (f" {'growth':>10}" if sizes else ""))
    result = {}
    for name, of in runs.items():
        if name in refused:
            print(f"  {name:42} fails: {refused[name][:110]}")
            continue
        ratio = statistics.median(a[column] / b[column] for a, b in zip(of, runs[floor]))
        wall, cpu, memory = (statistics.median(r[i] for r in of) for i in range(3))
        result[name] = (ratio, wall, cpu, memory / 1024, sizes.get(name, 0))
        line = f"  {name + ' *' * (name in once):42} {ratio:12.2f} {wall:8.3f} {cpu:8.3f} {memory / 1024:10.1f}"
        if sizes:
            line += f" {sizes[name] - sizes[floor]:10d}" if name in sizes else f" {'-':>10}"
        print(line, flush=True)
    return result


def target(what, value, limit, unit=""):
    met = value <= limit
    print(f"  target: {what} at most {limit:.4g}{unit}: {value:.2f}{unit}, {'met' if met else 'MISSED'}")
    if not met:
        missed.append(what)
