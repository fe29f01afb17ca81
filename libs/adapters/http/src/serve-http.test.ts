import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { type LogFields, silentLogger } from "@heddle/kernel";
import { by, counter, gauge, Histogram, histogram, notReady, type Readiness, ready } from "@heddle/port-metrics";
import { expect, onTestFinished, test } from "vitest";
import { HTTP_CONNECTIONS_MAX, HTTP_HEADER_BYTES_MAX, METRICS_PER_SECOND_MAX } from "./limits.ts";
import { type HttpListening, type HttpOptions, serveHttp } from "./serve-http.ts";

/** A server that is watched and whose numbers are the test's. */
class Subject {
  state: Readiness = ready();
  jobs = 1;
  ended = { done: 0, failed: 0 };
  readonly seconds = new Histogram([0.1, 1]);
  /** How often its metrics were asked for. */
  asked = 0;
  readonly readiness = (): Readiness => this.state;
  readonly metrics = () => {
    this.asked++;
    return [
      gauge("heddle_test_jobs", "Jobs that are open.", this.jobs),
      counter("heddle_test_ended_total", "Jobs that ended.", by("outcome", { ...this.ended })),
      histogram("heddle_test_seconds", "How long.", this.seconds),
    ];
  };
}

async function serve(watched: Subject, more: Partial<HttpOptions> = {}): Promise<HttpListening> {
  const common = { address: "127.0.0.1:0", server: "test", build: "1.2.3", log: silentLogger };
  const listening = await serveHttp({ ...common, watched, ...more });
  onTestFinished(() => listening[Symbol.asyncDispose]());
  listening.serves();
  return listening;
}

const get = (listening: HttpListening, path: string, init: RequestInit = {}) =>
  fetch(`http://${listening.address}${path}`, init);

/** A connection that says this; and all that it is told, once it ends. */
function say(listening: HttpListening, words: string): { readonly socket: Socket; readonly heard: Promise<string> } {
  const port = Number(listening.address.split(":").at(-1));
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  socket.write(words);
  return { socket, heard: text(socket).catch(() => "") };
}

const statusOf = (heard: string): string => heard.split("\r\n", 1)[0] ?? "";
const request = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\nhost: here\r\n${more}\r\n`;

test("a probe hears whether the server lives, and whether it is ready, and why not", async () => {
  const subject = new Subject();
  const listening = await serve(subject);
  const asked = async (path: string) => {
    const response = await get(listening, path);
    return [response.status, await response.text()];
  };
  expect(await asked("/healthz")).toEqual([200, "ok\n"]);
  expect(await asked("/readyz")).toEqual([200, "ok\n"]);
  subject.state = ready("read-only");
  expect(await asked("/readyz")).toEqual([200, "read-only\n"]);
  subject.state = notReady("it is stopping");
  expect(await asked("/readyz")).toEqual([503, "it is stopping\n"]);
  expect(await asked("/healthz")).toEqual([200, "ok\n"]);
});

test("a server is not ready before all of it serves, and says why it is not", async () => {
  const subject = new Subject();
  const common = { address: "127.0.0.1:0", server: "test", build: "1.2.3", log: silentLogger };
  await using listening = await serveHttp({ ...common, watched: subject });
  const asked = async () => {
    const response = await get(listening, "/readyz");
    return [response.status, await response.text()];
  };
  expect(await asked()).toEqual([503, "the test starts\n"]);
  subject.state = notReady("it reads its journal");
  expect(await asked()).toEqual([503, "it reads its journal\n"]);
  subject.state = ready();
  listening.serves();
  expect(await asked()).toEqual([200, "ok\n"]);
});

test("a page of metrics says what the server says now, beside what any process of Node does", async () => {
  const subject = new Subject();
  subject.ended = { done: 1, failed: 0 };
  const listening = await serve(subject);
  const first = await get(listening, "/metrics");
  expect(first.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await first.text()).toContain('heddle_test_ended_total{outcome="failed"} 0\n');
  Object.assign(subject, { jobs: 7, ended: { done: 3, failed: 2 } });
  for (const seconds of [0.05, 0.5, 0.5, 5]) subject.seconds.observe(seconds);
  const page = await (await get(listening, "/metrics")).text();
  expect(page.split("\n\n").slice(0, 4)).toEqual([
    "# HELP heddle_test_jobs Jobs that are open.\n# TYPE heddle_test_jobs gauge\nheddle_test_jobs 7",
    '# HELP heddle_test_ended_total Jobs that ended.\n# TYPE heddle_test_ended_total counter\nheddle_test_ended_total{outcome="done"} 3\nheddle_test_ended_total{outcome="failed"} 2',
    '# HELP heddle_test_seconds How long.\n# TYPE heddle_test_seconds histogram\nheddle_test_seconds_bucket{le="0.1"} 1\nheddle_test_seconds_bucket{le="1"} 3\nheddle_test_seconds_bucket{le="+Inf"} 4\nheddle_test_seconds_sum 6.05\nheddle_test_seconds_count 4',
    '# HELP heddle_build_info Always 1: which server this is, of which release.\n# TYPE heddle_build_info gauge\nheddle_build_info{server="test",version="1.2.3"} 1',
  ]);
  for (const name of ["process_resident_memory_bytes", "process_cpu_seconds_total", "nodejs_eventloop_lag_seconds"])
    expect(page).toMatch(new RegExp(`^${name} \\d`, "m"));
});

test("two servers of one process tell their own numbers", async () => {
  const [one, other] = [new Subject(), new Subject()];
  other.jobs = 2;
  const [first, second] = [await serve(one), await serve(other)];
  expect(await (await get(first, "/metrics")).text()).toContain("\nheddle_test_jobs 1\n");
  expect(await (await get(second, "/metrics")).text()).toContain("\nheddle_test_jobs 2\n");
});

test("whoever asks for metrics faster than anybody needs them hears the newest again, and the numbers of now a second later", async () => {
  const subject = new Subject();
  const listening = await serve(subject);
  const before = subject.asked;
  const pages = await Promise.all(
    Array.from({ length: 3 * METRICS_PER_SECOND_MAX }, async () => (await get(listening, "/metrics")).text()),
  );
  expect(pages.every((page) => page.includes("\nheddle_test_jobs 1\n"))).toBe(true);
  expect(subject.asked - before).toBeLessThan(2 * METRICS_PER_SECOND_MAX);
  subject.jobs = 5;
  await expect
    .poll(async () => (await get(listening, "/metrics")).text(), { timeout: 5_000 })
    .toContain("\nheddle_test_jobs 5\n");
});

test.each([
  ["another path", request("/"), "404 Not Found"],
  ["a path below", request("/metrics/jobs"), "404 Not Found"],
  ["a path that climbs", request("/../../etc/passwd"), "404 Not Found"],
  ["POST", "POST /metrics HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\n\r\nbody", "405 Method Not Allowed"],
  ["HEAD", "HEAD /healthz HTTP/1.1\r\nhost: here\r\n\r\n", "405 Method Not Allowed"],
  ["no host", "GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request"],
  ["no HTTP", "\u0016\u0003\u0001\u0002", "400 Bad Request"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 Bad Request"],
  [
    "headers that are too long",
    request("/metrics", `x: ${"x".repeat(HTTP_HEADER_BYTES_MAX)}\r\n`),
    "431 Request Header Fields Too Large",
  ],
  ["a query", request("/healthz?verbose=1"), "200 OK"],
  ["an upgrade", request("/healthz", "connection: upgrade\r\nupgrade: websocket\r\n"), "200 OK"],
])("%s is answered at once, and the connection ends", async (_what, words, status) => {
  const { heard } = say(await serve(new Subject()), words);
  expect(statusOf(await heard)).toBe(`HTTP/1.1 ${status}`);
});

test("no body is asked for or waited for", async () => {
  const listening = await serve(new Subject());
  const expecting = await say(listening, request("/healthz", "content-length: 1000000\r\nexpect: 100-continue\r\n"))
    .heard;
  expect(statusOf(expecting)).toBe("HTTP/1.1 200 OK");
  const posting = say(listening, "POST /metrics HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n");
  expect(statusOf(await posting.heard)).toBe("HTTP/1.1 405 Method Not Allowed");
});

test("of many requests on one connection the first is answered alone", async () => {
  const subject = new Subject();
  const listening = await serve(subject);
  const before = subject.asked;
  const heard = await say(listening, request("/metrics").repeat(500)).heard;
  expect(heard.match(/HTTP\/1\.1 200/g)).toHaveLength(1);
  expect(subject.asked - before).toBe(1);
});

test("who says nothing, or too little, is cut in time", async () => {
  const listening = await serve(new Subject(), { headersMs: 100, connectionMs: 400 });
  const slow = say(listening, "GET /metrics HTTP/1.1\r\nhost: he");
  const silent = say(listening, "");
  expect(statusOf(await slow.heard)).toBe("HTTP/1.1 408 Request Timeout");
  expect(await silent.heard).toMatch(/^(HTTP\/1\.1 408 |$)/);
});

test("no connection lives longer than one may, whatever it waits for", async () => {
  const listening = await serve(new Subject(), { connectionMs: 200 });
  const startedMs = performance.now();
  expect(await say(listening, "GET /metrics HTTP/1.1\r\nhost: he").heard).toBe("");
  expect(performance.now() - startedMs).toBeGreaterThan(150);
});

test("those who say nothing keep nobody out: the oldest of them goes", async () => {
  const listening = await serve(new Subject());
  const silent = Array.from({ length: HTTP_CONNECTIONS_MAX }, () => say(listening, "GET /"));
  await Promise.all(silent.map(({ socket }) => once(socket, "connect")));
  expect((await get(listening, "/healthz")).status).toBe(200);
  expect(await silent[0]?.heard).toBe("");
  expect(silent.at(-1)?.socket.destroyed).toBe(false);
});

test("metrics that cannot be told are an error in the answer and in the log, and the server goes on", async () => {
  const subject = new Subject();
  const errors: (LogFields | undefined)[] = [];
  const log = { ...silentLogger, error: (_message: string, fields?: LogFields) => void errors.push(fields) };
  const listening = await serve(subject, { log });
  subject.ended = { done: -1, failed: 0 };
  expect((await get(listening, "/metrics")).status).toBe(500);
  expect(errors).toMatchObject([{ stack: expect.stringContaining("not possible to decrease a counter") }]);
  subject.ended = { done: 1, failed: 0 };
  expect((await get(listening, "/metrics")).status).toBe(200);
});

test("an address that another server has, or that is none, is refused in words that say what to do", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  onTestFinished(() => void other.close());
  const bound = other.address();
  const taken = `127.0.0.1:${typeof bound === "object" ? bound?.port : ""}`;
  await expect(serve(new Subject(), { address: taken })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(
      new RegExp(`^cannot serve --http at ${taken}: .*EADDRINUSE[^]*choose another --http`),
    ),
  });
  for (const address of ["unix:/tmp/x", "7434", "http://here:80"])
    await expect(serve(new Subject(), { address })).rejects.toMatchObject({ code: "invalid-argument" });
});

test("it listens beyond loopback when told to, by IPv6 too, and at no time after it was disposed", async () => {
  const everywhere = await serve(new Subject(), { address: "0.0.0.0:0" });
  expect(everywhere.address).toMatch(/^0\.0\.0\.0:[1-9]\d*$/);
  const six = await serve(new Subject(), { address: "[::1]:0" });
  expect((await get(six, "/healthz")).status).toBe(200);
  const open = say(everywhere, "GET /");
  await once(open.socket, "connect");
  await everywhere[Symbol.asyncDispose]();
  expect(await open.heard).toBe("");
  await expect(get(everywhere, "/healthz")).rejects.toThrow();
});

test("the log says where it is, and that others may get there when it listens beyond this machine", async () => {
  const lines: [string, LogFields?][] = [];
  const log = { ...silentLogger, info: (...line: [string, LogFields?]) => void lines.push(line) };
  const [near, far] = [await serve(new Subject(), { log }), await serve(new Subject(), { address: "0.0.0.0:0", log })];
  expect(far.address).toMatch(/^0\.0\.0\.0:[1-9]\d*$/);
  expect(lines).toEqual([
    ["health and metrics are served", { http: near.address }],
    ["health and metrics are served beyond this machine, without TLS, to whoever gets there", { http: far.address }],
  ]);
});
