"""Logs whose format is public, by name: what web servers, load balancers, object stores and loggers write.

Each pattern is written from the description that its maker publishes. A `SourceFormat` names one of them as its
`pattern`; columns that a line does not have are null.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class KnownLog:
    """A log with a public format.

    `pattern` is grok; it is empty for a log that names its fields in a `#Fields:` line, separated by `delimiter`.
    `continues` says which lines that do not match belong to the record before: those that are indented or begin as a
    line of a stack trace do, or all of them.
    """

    name: str
    title: str
    pattern: str = ""
    delimiter: str = ""
    continues: str = "indented"
    # Found in every line's beginning, at the cost of next to nothing.
    hint: str = ""
    # A certainty below 1 for patterns so loose that other text may match them.
    strength: float = 1.0


_QUOTED = r'"%{QUOTEDTEXT:referrer}" "%{QUOTEDTEXT:agent}"'
_MESSAGE = r"%{GREEDYDATA:message}"
_CLF_TAIL = r'"%{HTTPREQUEST}" (?:%{INT:status:int}|-) (?:%{INT:bytes:bigint}|-)'
_CLF_HEAD = r"%{NOTSPACE:client} %{NOTSPACE:ident} (?P<user>[^\[]*?) \[%{HTTPDATE:time}\] "


def _seconds(name: str) -> str:
    return rf"(?:-|%{{NUMBER:{name}:double}})"


def _count(name: str, kind: str = "int") -> str:
    return rf"(?:-|%{{INT:{name}:{kind}}})"


def _quoted(name: str) -> str:
    return rf'(?:"%{{QUOTEDTEXT:{name}}}"|-)'


_BALANCER = r"%{TIMESTAMP_ISO8601:time} %{NOTSPACE:elb} (?P<client>\S+?):%{INT:client_port:int} "
_LOG4J_TIME = (
    r"(?:[0-9]{4}[-/]%{MONTHNUM2}[-/]%{MONTHDAY}[T ]%{TIME}(?: ?%{ISO8601_TIMEZONE})?"
    r"|[0-9]{2}[-/.]%{MONTHNUM2}[-/.]%{MONTHDAY} %{TIME}"
    r"|%{MONTHDAY} %{MONTH} [0-9]{4} %{TIME}"
    r"|%{HOUR}:%{MINUTE}:%{SECOND})"
)
_LOGGER = r"(?P<logger>[A-Za-z_$][A-Za-z0-9_$.\-/\[\]@]*)"

KNOWN_LOGS: dict[str, KnownLog] = {
    log.name: log
    for log in (
        # Before the others: they would take the virtual host for the client.
        KnownLog(
            "apache_vhost_combined",
            "Apache combined access log with the virtual host",
            rf"(?P<vhost>[^\s:]+):%{{INT:port:int}} {_CLF_HEAD}{_CLF_TAIL} {_QUOTED}",
            hint=r"\[\d\d?/[A-Z][a-z]{2}/\d{4}:",
        ),
        KnownLog(
            "apache_common",
            "Apache common access log",
            rf"{_CLF_HEAD}{_CLF_TAIL}",
            hint=r"\[\d\d?/[A-Z][a-z]{2}/\d{4}:",
        ),
        # nginx writes its `combined` format the same way.
        KnownLog(
            "apache_combined",
            "Apache or nginx combined access log",
            rf"{_CLF_HEAD}{_CLF_TAIL} {_QUOTED}",
            hint=r"\[\d\d?/[A-Z][a-z]{2}/\d{4}:",
        ),
        KnownLog(
            "nginx_access",
            "nginx access log (main format)",
            rf'{_CLF_HEAD}{_CLF_TAIL} {_QUOTED} "%{{QUOTEDTEXT:forwarded_for}}"',
            hint=r"\[\d\d?/[A-Z][a-z]{2}/\d{4}:",
        ),
        KnownLog(
            "apache_error",
            "Apache error log",
            r"\[(?P<time>%{DAY} %{MONTH} +%{MONTHDAY} %{TIME} [0-9]{4})\]"
            r" \[(?:(?P<module>[\w.-]*):)?(?P<level>\w+)\]"
            r"(?: \[pid %{INT:pid:int}(?::tid (?P<tid>[0-9]+))?\])?(?: \[client (?P<client>[^\]]*)\])?"
            rf" {_MESSAGE}",
            hint=r"^\[[A-Z][a-z]{2} [A-Z][a-z]{2} ",
        ),
        KnownLog(
            "nginx_error",
            "nginx error log",
            r"(?P<time>[0-9]{4}/%{MONTHNUM2}/%{MONTHDAY} %{TIME}) \[%{WORD:level}\] %{INT:pid:int}#%{INT:tid:int}:"
            rf"(?: \*%{{INT:connection:bigint}})? {_MESSAGE}",
            hint=r"^\d{4}/\d\d/\d\d .*\d#\d",
        ),
        KnownLog(
            "syslog_rfc5424",
            "syslog (RFC 5424)",
            r"<%{NONNEGINT:priority:int}>%{POSINT:version:int} (?:-|%{TIMESTAMP_ISO8601:time})"
            r" %{NOTSPACE:host} %{NOTSPACE:program} %{NOTSPACE:pid} %{NOTSPACE:message_id}"
            r' (?:-|(?P<structured_data>(?:\[[^\]"]*(?:"%{QUOTEDTEXT}"[^\]"]*)*\])+))'
            rf"(?: {_MESSAGE})?",
            hint=r"^<\d{1,3}>\d{1,2} ",
        ),
        KnownLog(
            "syslog_rfc3164",
            "syslog (RFC 3164)",
            r"(?:<%{NONNEGINT:priority:int}>)?"
            r"(?:%{SYSLOGTIMESTAMP:time}"
            r"|(?P<time>[0-9]{4}-%{MONTHNUM2}-%{MONTHDAY}T%{TIME}%{ISO8601_TIMEZONE}))"
            r" %{SYSLOGHOST:host} (?:(?P<program>[^\s\[\]:]+)(?:\[%{INT:pid:int}\])?: *)?"
            rf"{_MESSAGE}",
            hint=r"^(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} +\d{1,2} \d|\d{4}-\d\d-\d\dT\S+ \S+ \S+: )",
        ),
        KnownLog(
            "elb",
            "AWS Classic Load Balancer access log",
            rf"{_BALANCER}(?:-|(?P<backend>\S+?):%{{INT:backend_port:int}})"
            rf" {_seconds('request_processing_time')} {_seconds('backend_processing_time')}"
            rf" {_seconds('response_processing_time')} {_count('elb_status')} {_count('backend_status')}"
            rf" {_count('received_bytes', 'bigint')} {_count('sent_bytes', 'bigint')}"
            r' "(?:(?P<method>[A-Z-]+) (?P<url>\S+) (?P<protocol>[^"]*)|%{QUOTEDTEXT:raw_request})"'
            rf"(?: {_quoted('agent')} %{{NOTSPACE:ssl_cipher}} %{{NOTSPACE:ssl_protocol}})?",
            hint=r"^\d{4}-\d\d-\d\dT\S+Z \S+ \S+:\d+ ",
        ),
        KnownLog(
            "alb",
            "AWS Application Load Balancer access log",
            rf"(?P<type>http|https|h2|grpcs|ws|wss) {_BALANCER}(?:-|(?P<target>\S+?):%{{INT:target_port:int}})"
            rf" {_seconds('request_processing_time')} {_seconds('target_processing_time')}"
            rf" {_seconds('response_processing_time')} {_count('elb_status')} {_count('target_status')}"
            rf" {_count('received_bytes', 'bigint')} {_count('sent_bytes', 'bigint')}"
            r' "(?:(?P<method>[A-Z-]+) (?P<url>\S+) (?P<protocol>[^"]*)|%{QUOTEDTEXT:raw_request})"'
            rf" {_quoted('agent')} %{{NOTSPACE:ssl_cipher}} %{{NOTSPACE:ssl_protocol}}"
            rf" %{{NOTSPACE:target_group_arn}} {_quoted('trace_id')} {_quoted('domain_name')}"
            rf" {_quoted('chosen_cert_arn')} {_count('matched_rule_priority')} (?P<request_creation_time>\S+)"
            rf" {_quoted('actions_executed')} {_quoted('redirect_url')} {_quoted('error_reason')}"
            rf"(?: {_quoted('target_list')} {_quoted('target_status_list')}"
            rf" {_quoted('classification')} {_quoted('classification_reason')})?(?: (?P<surplus>\S.*))?",
            hint=r"^[a-z0-9]+ \d{4}-\d\d-\d\dT\S+Z \S+ \S+:\d+ ",
        ),
        KnownLog(
            "s3_access",
            "Amazon S3 server access log",
            r"(?P<bucket_owner>[0-9a-f]{64}|-) %{NOTSPACE:bucket} \[%{HTTPDATE:time}\] %{NOTSPACE:remote_ip}"
            r" %{NOTSPACE:requester} %{NOTSPACE:request_id} (?P<operation>[A-Z][A-Z0-9._a-z]*) %{NOTSPACE:key}"
            rf" {_quoted('request')} {_count('status')} %{{NOTSPACE:error_code}}"
            rf" {_count('bytes_sent', 'bigint')} {_count('object_size', 'bigint')}"
            rf" {_count('total_time_ms')} {_count('turn_around_time_ms')}"
            rf" {_quoted('referrer')} {_quoted('agent')} %{{NOTSPACE:version_id}}"
            r"(?: %{NOTSPACE:host_id} %{NOTSPACE:signature_version} %{NOTSPACE:cipher_suite} %{NOTSPACE:auth_type}"
            r" %{NOTSPACE:host_header}(?: %{NOTSPACE:tls_version})?(?: %{NOTSPACE:access_point_arn})?"
            r"(?: %{NOTSPACE:acl_required})?(?: (?P<surplus>\S.*))?)?",
            hint=r"^(?:[0-9a-f]{64}|-) \S+ \[",
        ),
        KnownLog("cloudfront", "Amazon CloudFront access log", delimiter="\t"),
        KnownLog("w3c_extended", "W3C extended log (IIS and others)", delimiter=" "),
        KnownLog(
            "log4j",
            "log4j, logback or another logger of levels",
            rf"\[?(?P<time>{_LOG4J_TIME})\]?[ \t]+(?:- )?"
            rf"(?:\[(?P<thread>[^\[\]]*)\][ \t]+|{_LOGGER} - )?"
            r"\[?%{LOGLEVEL:level}\]?:?[ \t]+(?:- )?(?:%{INT:pid:int} --- )?"
            r"(?:\[[ \t]*(?P<thread>[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)\][ \t]+)?(?:- )?"
            rf"(?:{_LOGGER}(?:[ \t]+-|[ \t]*:)[ \t]+)?"
            rf"{_MESSAGE}",
            continues="any",
            strength=0.99,
            hint=r"^\[?\d",
        ),
    )
}
