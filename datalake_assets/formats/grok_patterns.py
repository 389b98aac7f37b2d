"""The named patterns that every grok pattern can use.

They carry the usual names and match what those names say. Each is written so that a line which does not match is given
up in time proportional to its length: alternatives differ in their first characters and no repeat stands directly
within another.
"""

_QUOTED_TEXT = r'[^"\\]*(?:\\.[^"\\]*)*'

PATTERNS: dict[str, str] = {
    # words and numbers
    "WORD": r"\b\w+\b",
    "NOTSPACE": r"\S+",
    "SPACE": r"\s*",
    "DATA": r".*?",
    "GREEDYDATA": r".*",
    "MULTILINEDATA": r"(?s:.*)",
    "INT": r"[+-]?[0-9]+",
    "POSINT": r"\b[1-9][0-9]*\b",
    "NONNEGINT": r"\b[0-9]+\b",
    "BASE10NUM": r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?",
    "NUMBER": r"%{BASE10NUM}",
    "BASE16NUM": r"[+-]?(?:0[xX])?[0-9A-Fa-f]+",
    "BOOLEAN": r"(?:[Tt]rue|TRUE|[Ff]alse|FALSE)",
    "QUOTEDTEXT": _QUOTED_TEXT,
    "QUOTEDSTRING": rf"""(?:"{_QUOTED_TEXT}"|'[^'\\]*(?:\\.[^'\\]*)*'|`[^`\\]*(?:\\.[^`\\]*)*`)""",
    "QS": r"%{QUOTEDSTRING}",
    "UUID": r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
    "USERNAME": r"[a-zA-Z0-9._-]+",
    "USER": r"%{USERNAME}",
    "EMAILADDRESS": r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@%{HOSTNAME}",
    # the network
    "MAC": r"(?:[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2})",
    "IPV4": r"(?<![0-9])(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}"
    r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?![0-9])",
    "IPV6": r"(?:(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}"
    r"|(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6})?::"
    r"(?:(?:[0-9A-Fa-f]{1,4}:){0,5}%{IPV4}|[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6})?)(?:%[0-9A-Za-z]+)?",
    "IP": r"(?:%{IPV4}|%{IPV6})",
    "HOSTNAME": r"\b[0-9A-Za-z][0-9A-Za-z_-]{0,62}(?:\.[0-9A-Za-z][0-9A-Za-z_-]{0,62})*\.?",
    "HOST": r"%{HOSTNAME}",
    "IPORHOST": r"(?:%{IP}|%{HOSTNAME})",
    "HOSTPORT": r"%{IPORHOST}:%{POSINT}",
    # paths and addresses
    "UNIXPATH": r"/[^\s:,;\"']*",
    "WINPATH": r"(?:[A-Za-z]:|\\)\\[^\s:*?\"<>|]*",
    "PATH": r"(?:%{UNIXPATH}|%{WINPATH})",
    "TTY": r"/dev/(?:pts|tty[pq]?)[0-9/]*",
    "URIPROTO": r"[A-Za-z][A-Za-z0-9+.-]*",
    "URIHOST": r"%{IPORHOST}(?::%{POSINT})?",
    "URIPATH": r"/[^\s?#\"']*",
    "URIPARAM": r"\?[^\s\"']*",
    "URIPATHPARAM": r"%{URIPATH}(?:%{URIPARAM})?",
    "URI": r"%{URIPROTO}://(?:%{USER}(?::[^@\s]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?",
    # dates and times
    "MONTH": r"\b(?:[Jj]an(?:uary)?|[Ff]eb(?:ruary)?|[Mm]ar(?:ch)?|[Aa]pr(?:il)?|[Mm]ay|[Jj]une?|[Jj]uly?"
    r"|[Aa]ug(?:ust)?|[Ss]ep(?:t(?:ember)?)?|[Oo]ct(?:ober)?|[Nn]ov(?:ember)?|[Dd]ec(?:ember)?)\b",
    "MONTHNUM": r"(?:1[0-2]|0?[1-9])",
    "MONTHNUM2": r"(?:1[0-2]|0[1-9])",
    "MONTHDAY": r"(?:3[01]|[12][0-9]|0?[1-9])",
    "DAY": r"(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)",
    "YEAR": r"[0-9]{4}|[0-9]{2}",
    "HOUR": r"(?:2[0-3]|[01]?[0-9])",
    "MINUTE": r"[0-5][0-9]",
    "SECOND": r"(?:60|[0-5]?[0-9])(?:[:.,][0-9]+)?",
    "TIME": r"%{HOUR}:%{MINUTE}:%{SECOND}",
    "DATE_US": r"%{MONTHNUM}[/-]%{MONTHDAY}[/-](?:%{YEAR})",
    "DATE_EU": r"%{MONTHDAY}[./-]%{MONTHNUM}[./-](?:%{YEAR})",
    "DATE": r"(?:%{DATE_US}|%{DATE_EU})",
    "TZ": r"[A-Z]{3,4}",
    "ISO8601_TIMEZONE": r"(?:Z|[+-]%{HOUR}(?::?%{MINUTE})?)",
    "TIMESTAMP_ISO8601": r"[0-9]{4}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?"
    r"(?: ?%{ISO8601_TIMEZONE})?",
    "DATESTAMP": r"%{DATE}[- ]%{TIME}",
    "DATESTAMP_RFC822": r"%{DAY},? %{MONTHDAY} %{MONTH} (?:%{YEAR}) %{TIME} (?:%{TZ}|[+-][0-9]{4})",
    "DATESTAMP_OTHER": r"%{DAY} %{MONTH} +%{MONTHDAY} %{TIME}(?: %{TZ})? [0-9]{4}",
    "HTTPDATE": r"%{MONTHDAY}/%{MONTH}/[0-9]{4}:%{TIME} [+-][0-9]{4}",
    "SYSLOGTIMESTAMP": r"%{MONTH} +%{MONTHDAY} %{TIME}",
    # logs
    "LOGLEVEL": r"\b(?:[Tt]race|TRACE|[Dd]ebug|DEBUG|[Ff]iner|[Ff]inest|FINER|FINEST|[Ff]ine|FINE|[Cc]onfig|CONFIG"
    r"|[Ii]nfo(?:rmation)?|INFO(?:RMATION)?|[Nn]otice|NOTICE|[Ww]arn(?:ing)?|WARN(?:ING)?|[Ee]rror|ERROR|[Ee]rr|ERR"
    r"|[Cc]rit(?:ical)?|CRIT(?:ICAL)?|[Ff]atal|FATAL|[Ss]evere|SEVERE|[Aa]lert|ALERT|[Ee]merg(?:ency)?"
    r"|EMERG(?:ENCY)?)\b",
    "JAVACLASS": r"[A-Za-z_$][A-Za-z0-9_$]*(?:\.[A-Za-z_$][A-Za-z0-9_$]*)*",
    "JAVAFILE": r"[A-Za-z0-9_. -]+",
    "PROG": r"[^\s\[\]:]+",
    "SYSLOGPROG": r"%{PROG:program}(?:\[%{POSINT:pid:int}\])?",
    "SYSLOGHOST": r"[^\s:]\S*",
    "HTTPDUSER": r"(?:%{EMAILADDRESS}|%{USER})",
    "HTTPREQUEST": r"(?:%{WORD:method} %{NOTSPACE:path}(?: HTTP/%{NUMBER:http_version})?|%{QUOTEDTEXT:raw_request})",
    "COMMONAPACHELOG": r"%{NOTSPACE:client} %{NOTSPACE:ident} %{NOTSPACE:user} \[%{HTTPDATE:time}\]"
    r' "%{HTTPREQUEST}" (?:%{INT:status:int}|-) (?:%{INT:bytes:bigint}|-)',
    "COMBINEDAPACHELOG": r'%{COMMONAPACHELOG} "%{QUOTEDTEXT:referrer}" "%{QUOTEDTEXT:agent}"',
}  # fmt: skip
