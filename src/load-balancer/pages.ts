/** The bodies that an Application Load Balancer answers with, and what HAProxy must say to send them. */
const titles: Readonly<Record<number, string>> = {
  400: "400 Bad Request",
  408: "408 Request Time-out",
  413: "413 Request Entity Too Large",
  500: "500 Internal Server Error",
  501: "501 Not Implemented",
  502: "502 Bad Gateway",
  503: "503 Service Temporarily Unavailable",
  504: "504 Gateway Time-out",
};

export function page(status: number): string {
  const title = titles[status] ?? String(status);
  return `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n</body>\r\n</html>\r\n`;
}

const inQuotes = (text: string) => `"${text.replaceAll("\r\n", "\\r\\n")}"`;

/** The answer where a group has no target that could take the request. */
export const noTarget = `http-request return status 503 content-type text/html string ${inQuotes(page(503))} hdr Server awselb/2.0`;

/**
 * HAProxy says 503 when it cannot connect, AWS 502: where no target is there at all `noTarget` has answered before, so that its own 503 always means a
 * failed connection.
 */
export const errorLines: readonly string[] = [400, 408, 413, 500, 501, 502, 503, 504].map(
  (status) =>
    `http-error status ${status} content-type text/html string ${inQuotes(page(status === 503 ? 502 : status))} hdr Server awselb/2.0`,
);
export const connectionFailed =
  'http-after-response set-status 502 reason "Bad Gateway" if { status 503 } { srv_name -m found } !{ var(txn.up) -m found }';
