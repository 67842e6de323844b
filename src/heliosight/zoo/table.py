"""The certificate as plain text."""

from __future__ import annotations

from heliosight.core.records_certificate import Certificate, CertificateRow


def text(certificate: Certificate) -> str:
    """A headline, then a line a score."""
    head = (
        f"certificate, {certificate.half} half: {certificate.cases} models of known health, "
        f"{certificate.seconds / 60:.1f} min of diagnosis, code {certificate.code[:12]}"
    )
    lines, group = [head], ""
    for row in certificate.rows:
        if row.group != group:
            group = row.group
            lines.append(group)
        lines.append(line(row))
    lines += [
        f"not scored, the manipulation did not take: {note}" for note in certificate.not_taken
    ]
    lines += [f"MISSED: {note}" for note in certificate.missed]
    return "\n".join(lines)


def line(row: CertificateRow) -> str:
    """One score with its interval, its cases and its goal."""
    v = row.value
    bounds = f"[{v.low:.3f}, {v.high:.3f}]" if v.low is not None and v.high is not None else ""
    goal = "" if row.goal is None else f"  asked {row.goal:g}: "
    verdict = "" if row.goal is None else ("reached" if v.value >= row.goal else "MISSED")
    return f"  {row.name:<40} {v.value:.3f} {bounds:<16} {row.hits:g} of {row.count}{goal}{verdict}"
