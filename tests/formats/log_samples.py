"""A few lines of every known log, invented after the public descriptions, and what one of their records holds."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class LogSample:
    """`row` is the record (from 0) whose `values` are given."""

    text: str
    records: int
    values: dict[str, str | None] = field(default_factory=dict)
    row: int = 0


_OWNER = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
_COMMON = '192.0.2.7 - frank [10/Oct/2026:13:55:36 -0700] "GET /a%20b.gif?x=1 HTTP/1.1" 200 2326'
_AGENT = '"https://example.com/start" "Mozilla/5.0 (X11; \\"odd\\") Gecko"'

SAMPLES = {
    "apache_common": LogSample(
        f'{_COMMON}\n::1 - - [10/Oct/2026:13:55:37 +0000] "-" 408 -\n'
        'host.example - John Doe [10/Oct/2026:13:55:38 +0000] "\\x16\\x03\\x01" 400 226\n',
        3,
        {"client": "192.0.2.7", "user": "frank", "time": "10/Oct/2026:13:55:36 -0700", "method": "GET",
         "path": "/a%20b.gif?x=1", "http_version": "1.1", "status": "200", "bytes": "2326", "raw_request": None},
    ),
    "apache_combined": LogSample(
        f'{_COMMON} {_AGENT}\n{_COMMON} "-" "-"\n', 2,
        {"referrer": "https://example.com/start", "agent": 'Mozilla/5.0 (X11; \\"odd\\") Gecko'},
    ),
    "apache_vhost_combined": LogSample(
        f"www.example.com:443 {_COMMON} {_AGENT}\n", 1, {"vhost": "www.example.com", "port": "443", "status": "200"}
    ),
    "nginx_access": LogSample(f'{_COMMON} {_AGENT} "198.51.100.4"\n', 1, {"forwarded_for": "198.51.100.4"}),
    "apache_error": LogSample(
        "[Fri Sep 11 10:42:29.902022 2026] [core:error] [pid 35708:tid 4328636416] [client 203.0.113.9:5000] "
        "File does not exist: /srv/favicon.ico\n"
        "[Sun Dec 06 04:47:44 2026] [notice] workerEnv.init() ok /etc/httpd/conf/workers2.properties\n", 2,
        {"time": "Fri Sep 11 10:42:29.902022 2026", "module": "core", "level": "error", "pid": "35708",
         "tid": "4328636416", "client": "203.0.113.9:5000", "message": "File does not exist: /srv/favicon.ico"},
    ),
    "nginx_error": LogSample(
        '2026/05/02 11:22:33 [error] 123#7: *45 open() "/srv/x" failed (2: No such file or directory), client: ::1\n'
        "2026/05/02 11:22:34 [notice] 1#1: signal process started\n", 2,
        {"time": "2026/05/02 11:22:33", "level": "error", "pid": "123", "tid": "7", "connection": "45"},
    ),
    "syslog_rfc5424": LogSample(
        '<165>1 2026-10-11T22:14:15.003Z machine.example evntslog 17 ID47 [a@32473 iut="3" e="x\\"]y"][b@1 c="d"] '
        "An event\n<34>1 - - - - - -\n", 2,
        {"priority": "165", "version": "1", "time": "2026-10-11T22:14:15.003Z", "host": "machine.example",
         "program": "evntslog", "pid": "17", "message_id": "ID47",
         "structured_data": '[a@32473 iut="3" e="x\\"]y"][b@1 c="d"]', "message": "An event"},
    ),
    "syslog_rfc3164": LogSample(
        "<34>Oct 11 22:14:15 mymachine su: 'su root' failed\n"
        "Jun  4 15:16:01 combo sshd(pam_unix)[19939]: authentication failure; uid=0\n"
        "2026-06-04T15:16:01.5+02:00 combo systemd[1]: Started it.\nJun  4 15:17:01 combo last message repeated\n", 4,
        {"time": "Jun  4 15:16:01", "host": "combo", "program": "sshd(pam_unix)", "pid": "19939",
         "message": "authentication failure; uid=0", "priority": None}, row=1,
    ),
    "elb": LogSample(
        "2026-05-13T23:39:43.945958Z my-lb 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "
        '"GET https://www.example.com:443/ HTTP/1.1" "curl/7.38.0" DHE-RSA-AES128-SHA TLSv1.2\n'
        "2026-05-13T23:39:43.945958Z my-lb 192.168.131.39:2817 - -1 -1 -1 504 0 0 0 "
        '"GET http://www.example.com:80/ HTTP/1.1" "-" - -\n', 2,
        {"elb": "my-lb", "client": "192.168.131.39", "client_port": "2817", "backend": "10.0.0.1",
         "backend_port": "80", "backend_processing_time": "0.001048", "elb_status": "200", "sent_bytes": "29",
         "url": "https://www.example.com:443/", "agent": "curl/7.38.0", "ssl_protocol": "TLSv1.2"},
    ),
    "alb": LogSample(
        "https 2026-07-02T22:23:00.186641Z app/my-lb/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 "
        '0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 '
        'TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my/73e2 "Root=1-58337281" '
        '"www.example.com" "session-reused" 1 2026-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" '
        '"10.0.0.1:80" "200" "-" "-" TID_1234\n', 1,
        {"type": "https", "elb": "app/my-lb/50dc6c495c0c9188", "target": "10.0.0.1", "target_port": "80",
         "target_status": "200", "trace_id": "Root=1-58337281", "domain_name": "www.example.com",
         "request_creation_time": "2026-07-02T22:22:48.364000Z", "actions_executed": "authenticate,forward",
         "target_list": "10.0.0.1:80", "surplus": "TID_1234"},
    ),
    "s3_access": LogSample(
        f"{_OWNER} amzn-bucket [06/Feb/2026:00:00:38 +0000] 192.0.2.3 {_OWNER} 3E57427F3EXAMPLE REST.GET.VERSIONING "
        '- "GET /amzn-bucket?versioning HTTP/1.1" 200 - 113 - 7 - "-" "S3Console/0.4" - '
        "s9lzHYrFp76ZVxRcpX9= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader amzn-bucket.s3.amazonaws.com TLSV1.2 - -\n"
        f'{_OWNER} b [06/Feb/2026:00:01:00 +0000] - svc 1B2 S3.EXPIRE.OBJECT a/b.csv "-" - - - 12 - - "-" "-" -\n', 2,
        {"bucket_owner": _OWNER, "bucket": "amzn-bucket", "time": "06/Feb/2026:00:00:38 +0000",
         "operation": "REST.GET.VERSIONING", "request": "GET /amzn-bucket?versioning HTTP/1.1", "status": "200",
         "bytes_sent": "113", "object_size": None, "total_time_ms": "7", "agent": "S3Console/0.4",
         "signature_version": "SigV4", "tls_version": "TLSV1.2", "acl_required": "-"},
    ),
    "cloudfront": LogSample(
        "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs(User-Agent)\n"
        "2026-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tMozilla/5.0%20(Win)\n", 1,
        {"date": "2026-12-04", "x-edge-location": "LAX1", "cs(User-Agent)": "Mozilla/5.0%20(Win)"},
    ),
    "w3c_extended": LogSample(
        "#Software: Some Server 10.0\n#Version: 1.0\n#Date: 2026-05-02 17:42:15\n#Fields: date time c-ip cs-method\n"
        "2026-05-02 17:42:15 172.22.255.255 GET\n2026-05-02 17:42:16 172.22.255.255 POST\n", 2,
        {"c-ip": "172.22.255.255", "cs-method": "POST"}, row=1,
    ),
    "log4j": LogSample(
        "2026-10-18 18:01:47,978 INFO [main] org.apache.hadoop.MRAppMaster: Created it\n"
        "2026-07-29 17:41:44,747 - WARN  [QuorumPeer[myid=1]/0:0:2181:FastLeaderElection@774] - Notification\n"
        "17/06/09 20:10:40 INFO spark.SecurityManager: Changing view acls to: yarn\n"
        "10:11:12.123 [http-1] DEBUG c.e.Service - pinged\n"
        "2026-10-18T18:01:47.978+02:00  INFO 4711 --- [  main] c.e.Application   : Started\n"
        "2026-01-02 03:04:05,678 - app.worker - ERROR - failed\n", 6,
        {"time": "2026-10-18T18:01:47.978+02:00", "level": "INFO", "pid": "4711", "thread": "main",
         "logger": "c.e.Application", "message": "Started"}, row=4,
    ),
}  # fmt: skip
