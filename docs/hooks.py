"""What MkDocs adds to the pages when it builds the site: the command reference, and the diagram of imports as SVG.

GitHub draws the Mermaid diagram itself. The site draws it here, since Material would load Mermaid from another server.
"""
import re
from html import escape

import typer

from imgreg_fastai import cli

WIDTH, ROW, HEIGHT, GAP = 1000, 96, 44, 24  # of the diagram, a row, a box, between boxes


def on_page_markdown(markdown: str, **kwargs) -> str:
    """Replace the marker of the command reference and the Mermaid diagram; a table's file name becomes its title."""
    markdown = re.sub(r"^```csv (\S+)$", r'```csv title="\1"', markdown, flags=re.MULTILINE)
    markdown = markdown.replace("<!-- commands -->", command_reference(typer.main.get_command(cli.app)))
    return re.sub(r"```mermaid\n(.*?)\n```", lambda match: flowchart(match[1]), markdown, flags=re.DOTALL)


def command_reference(app) -> str:
    """The commands of a typer app as Markdown, in the order of its help text.

    The options that all commands of a training share are listed once, at the end.
    """
    trainings = [name for name, command in app.commands.items() if any(p.name == "arch" for p in command.params)]
    names = [{parameter.name for parameter in app.commands[name].params} for name in trainings]
    shared = set.intersection(*names) - {"task", "out"}
    lines = []
    for name, command in app.commands.items():
        context = typer.Context(command, info_name=name)
        usage = " ".join(command.collect_usage_pieces(context))
        lines += [f"### {name}", escape(command.help or "", quote=False), f"```text\nimgreg {name} {usage}\n```"]
        own = shared if name in trainings else set()
        lines += option_tables([p for p in command.params if p.name not in own], context)
        if name in trainings:
            lines.append("And the [options of a training](#options-of-a-training).")
    lines += ["### Options of a training", f"`{'`, `'.join(trainings)}` have these options."]
    command = app.commands[trainings[0]]
    lines += option_tables([p for p in command.params if p.name in shared], typer.Context(command, info_name=""))
    return "\n\n".join(lines)


def option_tables(parameters: list, context) -> list[str]:
    """A Markdown table of the arguments and options in each panel of the help text."""
    panels: dict[str, list[str]] = {}
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if record and not parameter.hidden:
            panel = parameter.rich_help_panel or f"{parameter.param_type_name.capitalize()}s"
            option, text = record[0], escape(record[1], quote=False).replace("|", "\\|")
            panels.setdefault(panel, []).append(f"| `{option}` | {text} |")
    return ["\n".join([f"| {panel} | |", "|---|---|", *rows]) for panel, rows in panels.items()]


def flowchart(mermaid: str) -> str:
    """The Mermaid diagram of `tests.project.layout` as SVG: a row per floor, arrows to what is imported below."""
    rows = [re.findall(r'^    (\w+)\["\w+: (.*)"\]', floor, re.MULTILINE) for floor in mermaid.split("subgraph ")[1:]]
    boxes, height = {}, ROW * len(rows)
    parts = []
    for i, row in enumerate(rows):
        width = (WIDTH - GAP * (len(row) - 1)) / len(row) if len(row) > 2 else WIDTH / 3
        left = (WIDTH - width * len(row) - GAP * (len(row) - 1)) / 2
        for k, (name, text) in enumerate(row):
            x, y = left + k * (width + GAP), height - ROW * (i + 1) + (ROW - HEIGHT) / 2
            boxes[name] = x + width / 2, y
            parts.append(f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{HEIGHT}" rx="6" class="box"/>'
                         f'<text x="{x + width / 2:.0f}" y="{y + 18:.0f}" font-weight="bold">{name}</text>'
                         f'<text x="{x + width / 2:.0f}" y="{y + 34:.0f}" font-size="11">{escape(text)}</text>')
    arrows = []
    for upper, lower in re.findall(r"(\w+) --> (\w+)", mermaid):
        (x0, y0), (x1, y1) = boxes[upper], boxes[lower]
        arrows.append(f'<path d="M{x0:.0f},{y0 + HEIGHT:.0f} C{x0:.0f},{y0 + ROW:.0f} {x1:.0f},{y1 - ROW / 2:.0f} '
                      f'{x1:.0f},{y1 - 4:.0f}" marker-end="url(#arrow)"/>')
    return (f'<div class="layout-diagram"><svg viewBox="0 0 {WIDTH} {height}" role="img" '
            'aria-label="The packages and their imports" font-size="14" text-anchor="middle">'
            '<defs><marker id="arrow" markerWidth="7" markerHeight="7" refX="6" refY="3.5" orient="auto">'
            '<path d="M0,0 L7,3.5 L0,7 z" fill="currentColor"/></marker></defs>'
            f'<g fill="none" stroke="currentColor" opacity="0.5">{"".join(arrows)}</g>'
            f'<g fill="currentColor">{"".join(parts)}</g></svg></div>')
