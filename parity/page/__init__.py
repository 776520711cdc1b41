"""Reports to look at: a page as data, its pictures, and the one file that a browser shows.

Nothing here knows what was compared: parity/report and parity/ports say what is on a page.
"""

# What a report's page is called.
PAGE = "report.html"
