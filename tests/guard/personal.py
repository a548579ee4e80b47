"""What must be found wherever it stands, by the pattern that finds it; and what must stay as it is."""

from collections.abc import Mapping

# The digits of cards and accounts are those that their makers publish for tests.
PERSONAL: Mapping[str, tuple[str, ...]] = {
    "email": (
        "ana@example.org",
        "Ana.Smith+list@mail.example.co.uk",
        "ANA@EXAMPLE.ORG",
        "o'brien@example.ie",
        "ana@localhost",
        "ana_1990@sub-domain.example",
        "bounce+ana=example.org@lists.example",
        '"ana smith"@example.org',
        "ana@[192.0.2.7]",
        "müller@exämple.de",
        "анна@пример.рф",
        "ana@xn--exmple-cua.de",
        "ana%40example.org",
        "ana%2540example.org",
        "\\u0061na\\u0040example.org",
        "ana&#64;example.org",
        "ana&#x40;example.org",
        "ana&commat;example&period;org",
        "ａｎａ＠ｅｘａｍｐｌｅ．ｏｒｇ",
        "an\u200da@exam\u200bple.org",
        "an\u00ada@example.org",
    ),
    "ip": (
        "192.0.2.7",
        "10.0.0.1",
        "255.255.255.255",
        "203.0.113.7:8080",
        "203.0.113.7/24",
        "203.0.113.7.443",
        "http://198.51.100.23/x",
        "ip-10-0-0-12",
        "ec2-203-0-113-7",
        "p4.203-0-113-7",
        "2001:db8::1",
        "2001:DB8::1",
        "2001:db8:1:2:3:4:5:6",
        "[2001:db8::1]:443",
        "fe80::1%eth0",
        "2001:db8::/32",
        "::ffff:192.0.2.7",
        "::1",
        "64:ff9b::192.0.2.33",
        "ip:2001:db8::1",
        "192%2E0%2E2%2E7",
        "2001%3Adb8%3A%3A1",
        "１９２.０.２.７",
    ),
    "mac": ("00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "001a.2b3c.4d5e"),
    "card": (
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111",
        "5500005555555559",
        "3782 822463 10005",
        "6011000990139424",
        "30569309025904",
        "4222222222222",
        "4111%201111%201111%201111",
        "4111+1111+1111+1111%20",
        "４１１１１１１１１１１１１１１１",
        "٤١١١١١١١١١١١١١١١",
        "4111\u20131111\u20131111\u20131111",
    ),
    "iban": ("DE89370400440532013000", "GB82 WEST 1234 5698 7654 32", "fr1420041010050500013m02606"),
    "ssn": ("078-05-1120", "078 05 1120"),
    "phone": (
        "+49 170 1234567",
        "+491701234567",
        "+1 (212) 555-1234",
        "+44 20 7946 0958",
        "0049 170 1234567",
        "(212) 555-1234",
        "212-555-1234",
        "212.555.1234",
        "030 1234567",
        "0170/1234567",
        "01 23 45 67 89",
        "612 345 678",
        "98765 43210",
        "%2B49+170+1234567",
    ),
    "uuid": (
        "3f9a0c11-d2e4-4bd1-9b0a-0123456789ab",
        "3F9A0C11-D2E4-4BD1-9B0A-0123456789AB",
        "{3f9a0c11-d2e4-4bd1-9b0a-0123456789ab}",
        "urn:uuid:3f9a0c11-d2e4-4bd1-9b0a-0123456789ab",
    ),
    "token": (
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dGhpcyBpcyBub3Qgb25l",
        "Bearer abc.def-123",
        "Basic YW5hOnNlY3JldA==",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a" * 36,
        "xoxb-" + "123456789012-abcdef",
        "sk_live_" + "a1b2c3d4e5f6g7h8",
        "AIza" + "b" * 35,
        "glpat-" + "c" * 20,
        "4bf92f3577b34da6a3ce929d0e0e4736",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "507f1f77bcf86cd799439011",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "a8Fk39xYz2LmQ0pRt7vB1nC4",
        "nK7/pQ2x+V9sT4uYwZ1aBcD3eF6gHjL8mN0oPqR5",
    ),
    "secret": (
        "password=hunter2",
        "db_password = 'hunter2'",
        '"api_key": "hunter2"',
        "DB-PASSWORD=hunter2",
        "password: hunter2",
        "token=hunter2",
        "clientSecret=hunter2",
        "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nhunter2",
        "Cookie: hunter2; b=c",
    ),
    "user": ("user=ana", '"username": "ana"', "login='ana smith'", "postgres://ana:secret@db.example/shop"),
    "location": ("52.520008, 13.404954", "-33.8688,151.2093"),
    "number": ("123456789", "20240115103000123", "1700000000123"),
}

# Values of labels as they are met: none of these says anything about a person.
_WORDS = r"""
GET POST PUT DELETE PATCH HEAD OPTIONS CONNECT TRACE QUERY _OTHER SELECT INSERT UPDATE MERGE EXPLAIN BEGIN COMMIT
ROLLBACK findAndModify aggregate zrangebyscore 100 101 200 201 202 204 206 301 302 304 307 400 401 403 404 409 410 413
418 422 429 431 451 499 500 502 503 504 1xx 2xx 3xx 4xx 5xx 0 1 -1 42 80 443 5432 6379 8080 8443 9090 29100 65535
12345678 3.14 -0.5 1e6 99.9 0.999 true false yes no on off none null nil unknown other total default all any success
failure failed error ok denied 1.2.3 1.2 v1 v2 v1.2.3 2.0.0-rc.1 1.2.3+build.5 1.20.3-alpine 3.11.4 go1.22.1 2024.1
24.04 v1beta1 0.0.0-dev 10.15.7 17.0.8 1.2.3-SNAPSHOT 2.4.57-1~deb12u1 5.15.0-91-generic 6.1.0-18-amd64 es2022 c99
7.4p1 3fa85c1 deadbee e3b0c442 HTTP/1.0 HTTP/1.1 HTTP/2 HTTP/3 h2 h2c grpc ws wss tcp udp tcp4 tcp6 unix quic TLSv1.2
TLSv1.3 TLS_AES_128_GCM_SHA256 ECDHE-RSA-AES256-GCM-SHA384 ed25519 rsa-2048 secp256r1 sha256 sha512 md5 hmac-sha1
argon2id bcrypt utf-8 UTF-16 iso-8859-1 windows-1252 en en-US de-DE zh-Hant-TW pt_BR EUR USD GBP JPY US DE FR
application/json text/html;charset=utf-8 image/svg+xml multipart/form-data application/vnd.api+json gzip br deflate
zstd / /cart/{id} /cart/{id}/items/:item /users/<int:id> /users/{user_id}/orders /api/v1/login /health /-/ready
/metrics /static/css/main.css /favicon.ico /robots.txt /.well-known/openid-configuration /graphql * /index.php
^/api/(?P<pk>\d+)/$ localhost db-1 web-01 node-3.example.org api.example.org shop-7d9f8b6c5d-x2x4z kube-system
default/web-0 redis-master-0 eu-west-1 us-east-1a europe-west4-b northeurope rack12 dc-2 az1 eth0 wlp3s0 enp0s31f6
veth1a2b3c br-lan lo sda1 nvme0n1p1 dm-0 md127 cpu0 tty1 /dev/sda1 /var/lib/docker /mnt/data ext4 xfs tmpfs overlay
info warning error critical debug trace fatal notice emerg warn ERROR WARN INFO DEBUG stderr stdout root.http.server
app.worker com.example.shop.CartService org.springframework.web.servlet.DispatcherServlet
java.lang.NullPointerException System.InvalidOperationException ValueError KeyError std::runtime_error std::vector
Foo::Bar ActiveRecord::RecordNotFound django.db.utils.OperationalError ECONNREFUSED EHOSTUNREACH ETIMEDOUT ORA-00001
42P01 23505 SQLSTATE[23505] E1001 ERR_1234 HTTP_503 0x80070005 0xdead SIGTERM SIGKILL exit-137 OOMKilled
CrashLoopBackOff MyVeryLongClassNameHandler AbstractSingletonProxyFactoryBean getUserByIdAndTenant UserServiceImplV2
HTMLParserV3 create_order_v2 send-email-job cleanup:expired jobs.nightly_report daily-report-2024 q4-2023 batch_17
step-3 phase2 lodash@4.17.21 react@18.2.0 pkg@1.0.0 @angular/core @media python3.11 node20 nginx/1.25.3 curl/8.5.0
Mozilla/5.0 Safari/537.36 AppleWebKit/605.1.15 okhttp/4.12.0 kube-probe/1.29 Prometheus/2.53.0 iOS17 Android-14 Win64
users orders order_items auth_user pg_stat_statements public.users shop.cart_items messages-v2 logs-2024.01.15 idx_a_b
user:created order.paid cart/updated payment_failed login_failed mfa_required bad_credentials expired_token
rate_limited too_deep too_complex field_limit introspection_disabled authenticated anonymous guest admin premium free
enterprise trial 5m 1h30m 250ms 1.5s 10us 2d 1w 00:00 10:30 10:30:00 10:30:00.123 23:59:59 12:00:00Z 2024-01-15
2024/01/15 15.01.2024 01/15/2024 15-Jan-2024 2024-01-15T10:30:00Z 2024-01-15T10:30:00.123456789Z 2024-W03 2024-01 Mon
2024-01-15T10:30:00+01:00 10% 99.9% 1024KiB 4GiB 512Mi 100m 2.5Gi 1,234 12,345.67 1_000_000 $5 €20 3x 1080p 4k 16:9 A4
x86_64 arm64 amd64 i686 le=0.5 type=histogram key=value status=200 code=404 level=info q=0.8 a=b port=8080
size=1048576 user_type=guest quantile p50 p95 p99 p99.9 le +Inf NaN -Inf bucket_17 shard-003 partition=12 offset=99999
replica-2 leader follower sqli xss csrf_missing path_traversal brute_force credential_stuffing port_scan T1110.001
CVE-2024-3094 CWE-79 GHSA CREATE ALTER DROP TRUNCATE GRANT CALL LISTEN NOTIFY VACUUM lpush hgetall expire subscribe
publish ack nack 200OK http2 oauth2 oidc saml webauthn totp sms push backup_code recovery passkey basic digest bearer
negotiate checkout-service payments-api search_indexer mailer thumbnailer geo-ip-lookup cart-v2 inventory.sync
warehouse_3 dev staging prod production canary blue green test preview-123 feature-42 main release-1.4 hotfix/2.0.1
refs/heads/main iPhone15 Pixel-8 desktop mobile-app tablet smart-tv bot crawler chrome firefox safari edge cli sdk
CamelCase snake_case kebab-case dot.case SCREAMING_CASE path/to/file a.b.c.d x:y:z
"""

# With spaces in them, or beyond ASCII.
HARMLESS = [
    *_WORDS.split(),
    "connection refused",
    "Connection reset by peer",
    "timed out after 30 s",
    "deadline exceeded: 5000 ms",
    "SELECT id FROM orders WHERE total > 100",
    "no route to host",
    "GET /cart/{id} HTTP/1.1",
    "Invalid username or password",
    "token: expired",
    "basic authentication required",
    "Bearer authentication failed",
    "secret: missing",
    "2024-01-15 10:30:00",
    "15.01.2024 10:30",
    "01.02.2024 10:30:00",
    "Mon, 15 Jan 2024 10:30:00 GMT",
    "Jan 15 10:30:00",
    "1 of 3 replicas",
    "12 345 678",
    "version 1.2.3 (build 4567)",
    "10 of 200 requests, 5.0 %",
    "Überprüfung fehlgeschlagen",
    "支払いに失敗しました",
    "ошибка соединения",
    "größer als 100 €",
    "naïve café",
    "👩‍💻 deploys",
    "100 %",
    "50% off",
    "a & b",
    "AT&T",
    "C:\\Windows\\System32",
    "line 12, column 34",
    "foo() -> bar()",
    "status code 503",
    "retry 3/5",
    "cache hit ratio 0.97",
    "x != y && z",
    "",
    " ",
    "-",
    "?",
    "#1",
]
