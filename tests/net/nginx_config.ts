/**
 * The files of nginx/ with a test's ports, and nothing else changed.
 *
 * @module
 */

import { freePort, isFile, NGINX_STREAM_MODULE } from "../support/process.ts";

/** Where a node listens on 127.0.0.1. */
export interface NodePorts {
  /** For clients. */
  tcp: number;
  /** For heartbeats. */
  udp: number;
  /** For browsers. */
  web?: number;
}

/** The ports in the shipped file, node by node; the third is commented out there. */
const SHIPPED_NODES: readonly Required<NodePorts>[] = [
  { tcp: 6000, udp: 6100, web: 8100 },
  { tcp: 6002, udp: 6102, web: 8102 },
  { tcp: 6004, udp: 6104, web: 8104 },
];
/** nginx makes these when it starts, in folders that are root's. */
const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) =>
  `${kind}_temp_path ${kind};`
).join(" ");

/** The files of nginx/. */
export type NginxFile = "nginx.conf" | "nginx_tls.conf";

/**
 * The text of a file of nginx/ without what belongs to the machine: where to log, where to put what is in passing, and the
 * stream module's file where nginx has the module built in.
 */
export async function shippedNginxConfig(file: NginxFile = "nginx.conf"): Promise<string> {
  const config = await Deno.readTextFile(new URL(`../../nginx/${file}`, import.meta.url));
  const withoutLog = config.replace(/^error_log .*\n/m, "").replace(/^http {$/m, `$& ${TEMPORARY}`);
  return isFile(NGINX_STREAM_MODULE) ? withoutLog : withoutLog.replace(/^load_module .*\n/m, "");
}

/**
 * The shipped configuration for two or three `nodes`, with clients on `port`, heartbeats on `udpPort` and browsers on
 * `webPort`, where a test has them; `plainWebPort` is where nginx_tls.conf sends browsers on to https.
 */
export async function nginxConfig(
  { file, port, udpPort = freePort(), webPort = freePort(), plainWebPort = freePort(), nodes }: {
    file?: NginxFile;
    port: number;
    udpPort?: number;
    webPort?: number;
    plainWebPort?: number;
    nodes: readonly NodePorts[];
  },
): Promise<string> {
  const ports = new Map([[8000, port], [6001, udpPort], [8080, webPort], [8443, webPort], [6443, port], [
    443,
    webPort,
  ], [80, plainWebPort]]);
  SHIPPED_NODES.forEach(({ tcp, udp, web }, i) => {
    ports.set(tcp, nodes[i]?.tcp ?? tcp).set(udp, nodes[i]?.udp ?? udp).set(web, nodes[i]?.web ?? web);
  });
  const shipped = await shippedNginxConfig(file);
  const config = nodes.length === 3
    ? shipped.replaceAll("# server 127.0.0.1:", "server 127.0.0.1:")
    : shipped;
  return config.replace(/(listen |server 127\.0\.0\.1:)(\d+)/g, (_, before, from) => {
    const to = ports.get(Number(from));
    if (to === undefined) throw new Error(`nginx.conf has a port that no test knows: ${from}`);
    return `${before}${to}`;
  });
}
