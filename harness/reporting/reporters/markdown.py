"""``report.md``: for a comment on a pull request, or a GitHub step summary."""

from harness.reporting.markdown import MARKDOWN_FILE, render_markdown
from harness.reporting.reporter import Reporter, WrittenAtEnd

REPORTER = Reporter("markdown", lambda setting: WrittenAtEnd(setting.folder / MARKDOWN_FILE, render_markdown))
