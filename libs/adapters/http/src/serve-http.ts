import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIPv6, type Socket } from "node:net";
import { InvalidArgumentError, isLocal, type Logger, parseAddress, UnavailableError } from "@heddle/kernel";
import { notReady, type Readiness, type Watched } from "@heddle/port-metrics";
import { HTTP_CONNECTION_MS, HTTP_CONNECTIONS_MAX, HTTP_HEADER_BYTES_MAX, HTTP_HEADERS_MS } from "./limits.ts";
import { MetricsPage } from "./metrics-page.ts";

/** What is served, and where. */
export interface HttpOptions {
  /** `host:port` or `[v6]:port`, of any interface; port 0 picks a free one. */
  readonly address: string;
  /** Which of the servers this is, such as "agent". */
  readonly server: string;
  /** Its release. */
  readonly build: string;
  readonly watched: Watched;
  readonly log: Logger;
  /** Longest life of a connection. For tests alone: HTTP_CONNECTION_MS. */
  readonly connectionMs?: number;
  /** Longest time for a request's headers. For tests alone: HTTP_HEADERS_MS. */
  readonly headersMs?: number;
}

/** A port that is served; disposing cuts its connections. */
export interface HttpListening extends AsyncDisposable {
  /** With the real port. */
  readonly address: string;
  /** What else the server serves is there: until this was called it is not ready, whatever it says of itself. */
  serves(): void;
}

/**
 * Serves /healthz, /readyz and /metrics to whoever can connect, in plain HTTP: numbers and words of ours, nothing of anybody's. Reads no
 * bodies, keeps no connection for a second request. Rejects with InvalidArgumentError for what is no address of TCP, with UnavailableError
 * when it cannot listen there; both name the address.
 */
export async function serveHttp(options: HttpOptions): Promise<HttpListening> {
  const wanted = parseAddress(options.address);
  if (wanted.kind === "unix")
    throw new InvalidArgumentError(`--http is served over TCP, not at ${options.address}: say host:port`);
  let isServing = false;
  const readiness = (): Readiness => {
    const said = options.watched.readiness();
    return said.isReady && !isServing ? notReady(`the ${options.server} starts`) : said;
  };
  const page = new MetricsPage({ ...options, metrics: options.watched.metrics });
  const server = createServer({
    maxHeaderSize: HTTP_HEADER_BYTES_MAX,
    headersTimeout: options.headersMs ?? HTTP_HEADERS_MS,
    requestTimeout: 0, // the connection is bounded as a whole
    connectionsCheckingInterval: Math.min(1_000, options.headersMs ?? HTTP_HEADERS_MS),
  });
  server.maxRequestsPerSocket = 1;
  const answer = (request: IncomingMessage, response: ServerResponse): void =>
    void reply(request, response, { page, log: options.log, readiness });
  // whoever asks first whether to send a body is answered at once: nobody here reads one
  for (const event of ["request", "checkContinue", "checkExpectation"]) server.on(event, answer);
  const sockets = boundConnections(server, options.connectionMs ?? HTTP_CONNECTION_MS);
  // localhost is 127.0.0.1, since elsewhere it may also be ::1
  const host = wanted.host.toLowerCase() === "localhost" ? "127.0.0.1" : wanted.host;
  const port = await listen(server, host, wanted.port);
  const address = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  if (isLocal(wanted)) options.log.info("health and metrics are served", { http: address });
  else
    options.log.info("health and metrics are served beyond this machine, without TLS, to whoever gets there", {
      http: address,
    });
  return {
    serves: () => {
      isServing = true;
    },
    address,
    [Symbol.asyncDispose]: () => close(server, sockets),
  };
}

/** Cuts connections that live for too long, and the oldest where there are too many. */
function boundConnections(server: Server, connectionMs: number): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    const timer = setTimeout(() => socket.destroy(), connectionMs).unref();
    sockets.add(socket);
    socket.once("close", () => {
      clearTimeout(timer);
      sockets.delete(socket);
    });
    const [oldest] = sockets;
    if (oldest === undefined || sockets.size <= HTTP_CONNECTIONS_MAX) return;
    sockets.delete(oldest); // it is closed only later: meanwhile the next one is the oldest
    oldest.destroy();
  });
  return sockets;
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    // stays there: a connection that cannot be taken for want of descriptors is that one's loss
    server.on("error", (cause: NodeJS.ErrnoException) => {
      const advice =
        cause.code === "EADDRINUSE"
          ? "\nanother server listens there: choose another --http; port 0 picks a free one"
          : "";
      reject(new UnavailableError(`cannot serve --http at ${host}:${port}: ${cause.message}${advice}`, { cause }));
    });
    server.listen({ host, port }, () => {
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : port);
    });
  });
}

async function close(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
}

/** What answers are made of. */
interface Desk {
  readonly page: MetricsPage;
  readonly log: Logger;
  readonly readiness: () => Readiness;
}

function reply(
  request: IncomingMessage,
  response: ServerResponse,
  { page, log, readiness }: Desk,
): void | Promise<void> {
  const { method, url = "" } = request;
  const [path = ""] = url.split("?", 1);
  if (!paths.has(path)) return send(response, 404, `there are ${[...paths].join(", ")}`);
  if (method !== "GET") return send(response.setHeader("allow", "GET"), 405, "only GET is answered");
  switch (path) {
    case "/healthz":
      return send(response, 200, "ok");
    case "/readyz": {
      const { isReady, words } = readiness();
      return send(response, isReady ? 200 : 503, words);
    }
    default:
      return tellMetrics(response, page, log);
  }
}

/** Who looks at a server does not bring it down. */
async function tellMetrics(response: ServerResponse, page: MetricsPage, log: Logger): Promise<void> {
  try {
    const text = await page.text();
    send(response.setHeader("content-type", page.contentType), 200, text);
  } catch (error) {
    log.error("metrics cannot be told: this is a defect of Heddle", {
      stack: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    send(response, 500, "the metrics cannot be told: the log of this server says why");
  }
}

const paths: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics"]);

/** One line unless it is a page; the connection ends behind it. */
function send(response: ServerResponse, status: number, text: string): void {
  if (!response.hasHeader("content-type")) response.setHeader("content-type", "text/plain; charset=utf-8");
  response.writeHead(status, {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    connection: "close",
  });
  response.end(text.endsWith("\n") ? text : `${text}\n`);
}
