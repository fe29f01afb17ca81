import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { loadSync } from "@grpc/proto-loader";
import { streamRoute } from "@heddle/port-rpc";
import { protoPath } from "grpc-health-check";
import { afterEach, describe, expect, test } from "vitest";
import { ask, closeKept, foreignMethod, keep, plainClient, proofMetadata, serve, streamMethod } from "./test-kit.ts";
import { descriptorSet } from "./testing.ts";

afterEach(closeKept);

const health = loadSync(protoPath, { enums: String });
const check = foreignMethod(health, "grpc.health.v1.Health", "Check");

describe("health", () => {
  test("is served for the server and for each named service, and for nothing else", async () => {
    const { address } = await serve();
    expect(await ask(address, check, { service: "" })).toEqual({ status: "SERVING" });
    expect(await ask(address, check, { service: "heddle.v1.Jobs" })).toEqual({ status: "SERVING" });
    await expect(ask(address, check, { service: "other.Service" })).rejects.toMatchObject({ code: 5 });
  });

  test("turns NOT_SERVING before the server stops", async () => {
    const listening = await serve();
    using client = plainClient(listening.address);
    const watch = foreignMethod(health, "grpc.health.v1.Health", "Watch");
    const request = { service: "" };
    const watching = client.makeServerStreamRequest(
      watch.path,
      watch.requestSerialize,
      watch.responseDeserialize,
      request,
    );
    const statuses: unknown[] = [];
    watching.on("error", () => undefined);
    watching.on("data", ({ status }: { status: string }) => statuses.push(status));
    await once(watching, "data");
    await listening[Symbol.asyncDispose]();
    expect(statuses).toEqual(["SERVING", "NOT_SERVING"]);
  });
});

test("reflection lists our services and grpc.health.v1", async () => {
  const { address } = await serve();
  const home = dirname(createRequire(import.meta.url).resolve("@grpc/reflection"));
  const definitions = loadSync(join(home, "../proto/grpc/reflection/v1/reflection.proto"), { oneofs: true });
  const method = foreignMethod(definitions, "grpc.reflection.v1.ServerReflection", "ServerReflectionInfo");
  using client = plainClient(address);
  const { path, requestSerialize, responseDeserialize } = method;
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, proofMetadata(path));
  call.write({ listServices: "*" });
  const [answer] = await once(call, "data");
  call.end();
  const names = answer.listServicesResponse.service.map(({ name }: { name: string }) => name);
  const ours = ["Admin", "Jobs", "Nodes", "Objects", "ObjectsAdmin", "Sessions"].map((name) => `heddle.v1.${name}`);
  expect(names.sort()).toEqual(["grpc.health.v1.Health", ...ours]);
});

describe("a server listens", () => {
  test.each(["0.0.0.0:0", "[::]:0", "192.168.1.1:0", "example.com:0", "[2001:db8::1]:0", "[::ffff:10.0.0.1]:0"])(
    "not at %s, because beyond loopback needs TLS",
    async (address) => {
      await expect(serve(address)).rejects.toMatchObject({
        name: "PermissionError",
        message: expect.stringMatching(
          /without TLS, because other machines can reach it: .*heddle certs init.*--tls-dir/,
        ),
      });
    },
  );

  test.each(["", "127.0.0.1", "127.0.0.1:99999", "http://127.0.0.1:1", "unix:", "a b:1"])(
    "not at %j, which is no address",
    async (address) => {
      await expect(serve(address)).rejects.toMatchObject({ code: "invalid-argument" });
    },
  );

  test.each(["127.0.0.1:0", "localhost:0", "127.1.2.3:0", "[::1]:0"])("at %s", async (address) => {
    const listening = await serve(address);
    expect(listening.address).not.toMatch(/:0$/);
    expect(await ask(listening.address, check, { service: "" })).toEqual({ status: "SERVING" });
  });

  test("not with two routes of one path", async () => {
    const route = streamRoute(streamMethod, () => undefined);
    await expect(serve("127.0.0.1:0", [route, route])).rejects.toMatchObject({ code: "invalid-argument" });
  });

  test("with the descriptor set of a file that exists, and says so otherwise", async () => {
    await expect(serve("127.0.0.1:0", [], { descriptorSet: "/nowhere/heddle.binpb" })).rejects.toThrow(
      "/nowhere/heddle.binpb",
    );
    expect(descriptorSet.length).toBeGreaterThan(1_000);
  });
});

describe("a unix socket", () => {
  function directory(): string {
    const path = mkdtempSync(join(tmpdir(), "heddle-unix-"));
    keep({ [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true }) });
    return path;
  }

  test("can be used by its owner alone, and its file is gone afterwards", async () => {
    const path = join(directory(), "a.sock");
    const listening = await serve(`unix:${path}`);
    expect(listening.address).toBe(`unix:${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await ask(listening.address, check, { service: "" })).toEqual({ status: "SERVING" });
    await listening[Symbol.asyncDispose]();
    expect(existsSync(path)).toBe(false);
  });

  test("that a killed server left behind is taken over", async () => {
    const path = join(directory(), "a.sock");
    const listen = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
    spawnSync(process.execPath, ["-e", listen]);
    expect(existsSync(path)).toBe(true);
    const listening = await serve(`unix:${path}`);
    expect(await ask(listening.address, check, { service: "" })).toEqual({ status: "SERVING" });
  });

  test("that is some other file stays as it is", async () => {
    const path = join(directory(), "a.txt");
    writeFileSync(path, "precious");
    await expect(serve(`unix:${path}`)).rejects.toMatchObject({ code: "unavailable" });
    expect(existsSync(path)).toBe(true);
  });
});
