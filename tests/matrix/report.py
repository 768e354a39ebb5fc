"""report.py: the table. editors: their names, ours first."""
import collections

from study import RANK, AFTERMATHS


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0


def row(name, cells):
    count = collections.Counter(c.verdict for c in cells)
    done = [c for c in cells if c.verdict in ("ok", "noisy")]
    print(f"{name:18}{len(cells):8}{count['ok']:8}{count['noisy']:8}{count['refused']:9}{count['bad']:7}"
          f"{mean(c.growth for c in done if c.aftermath == 'nothing'):10.0f}"
          f"{mean(c.growth for c in done if c.aftermath == AFTERMATHS[-1]):11.0f}")


def shared(cells, editors):
    """Those cells that every editor has."""
    places = collections.Counter((c.recipe, c.edit, c.aftermath) for c in cells)
    return [c for c in cells if places[c.recipe, c.edit, c.aftermath] == len(editors)]


def table(cells, editors):
    print(f"\n{'':18}{'cells':>8}{'ok':>8}{'noisy':>8}{'refused':>9}{'bad':>7}{'growth':>10}{'after 100':>11}")
    row(editors[0], [c for c in cells if c.editor == editors[0]])
    if len(editors) > 1:
        same = shared(cells, editors)
        print("on the same cells:")
        for editor in editors:
            row(editor, [c for c in same if c.editor == editor])
    print("noisy: it runs, and eu-elflint says what it does not say of the unedited object; growth: mean bytes of one edit, and of a"
          " hundred")


def dimensions(cells, editors):
    """Bad cells by each dimension."""
    print(f"\nbad{'':27}" + "".join(f"{e:>17}" for e in editors))
    names = ("machine", "linker", "kind", "variant")
    keys = [lambda c, i=i: c.recipe.split("/")[i] for i in range(4)] + [lambda c: c.edit, lambda c: c.aftermath]
    for name, key in zip((*names, "edit", "aftermath"), keys):
        rows = collections.defaultdict(collections.Counter)
        total = collections.Counter()
        for cell in cells:
            rows[key(cell)][cell.editor] += cell.verdict == "bad"
            total[key(cell), cell.editor] += 1
        for row, counts in rows.items():
            if any(counts.values()):
                print(f"{name:10}{row:20}" + "".join(f"{counts[e]:9} of {total[row, e]:4}" for e in editors))


def reasons(cells, editors, verdict, most=8):
    for editor in editors:
        found = collections.Counter(c.why[:110] for c in cells if c.editor == editor and c.verdict == verdict)
        for why, count in found.most_common(most):
            print(f"{verdict} {editor}: {count} x {why}")


def outdone(cells, editors):
    """Cells where a peer is better than ours, each with ours."""
    place = {(c.recipe, c.edit, c.aftermath): c for c in cells if c.editor == editors[0]}
    pairs = ((cell, place.get((cell.recipe, cell.edit, cell.aftermath))) for cell in cells)
    return [(cell, ours) for cell, ours in pairs if ours and RANK[cell.verdict] > RANK[ours.verdict]]


def sentence(cell):
    return f"{cell.verdict}: {cell.recipe} {cell.edit}, {cell.aftermath}: {cell.why}"


def wrong(cells, editors):
    return [c for c in cells if c.editor == editors[0] and c.verdict in ("bad", "noisy")]


def show(lines, most=200, width=240):
    lines = list(lines)
    print(*(line[:width] for line in lines[:most]), sep="\n", end="\n" if lines else "")
    if len(lines) > most:
        print(f"... and {len(lines) - most} more")


def report(cells, editors):
    """Whether all is well."""
    table(cells, editors)
    if len(editors) > 1:
        dimensions(shared(cells, editors), editors)
        for verdict in ("bad", "refused"):
            reasons(shared(cells, editors), editors, verdict)
    ours, better = wrong(cells, editors), outdone(cells, editors)
    show(map(sentence, ours))
    show(f"better: {c.editor} on {c.recipe} {c.edit}, {c.aftermath}: {c.verdict}; ours {o.verdict}: {o.why}" for c, o in better)
    if len(editors) > 1:
        print(f"\ncells where a peer is better: {len(better)}")
    return not ours and not better
