# Serves one page, and leaves with the exit code that someone asks for at /cgi-bin/leave, or with 0 on SIGTERM.
PATH=/bin
trap 'echo "hello: told to leave"; exit 0' TERM
busybox mkdir -p /www/cgi-bin
echo "Hello from task ${TASK_NAME:-$(busybox hostname)}, version ${VERSION:-1}" >/www/index.html
printf '#!/bin/busybox sh\nprintf "content-type: text/plain\\r\\n\\r\\nbye\\n"\necho "${QUERY_STRING:-0}" >/leave\n' >/www/cgi-bin/leave
busybox chmod +x /www/cgi-bin/leave
echo "hello: serving on port 8080"
busybox httpd -p 8080 -h /www
while [ ! -f /leave ]; do busybox sleep 0.1; done
code="$(busybox cat /leave)"
echo "hello: leaving with exit code $code"
exit "$code"
