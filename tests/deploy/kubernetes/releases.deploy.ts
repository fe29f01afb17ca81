import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ApiStandIn } from "./api-stand-in.ts";
import { chart, KubernetesTools, type Ran, whyNoHelm } from "./tools.ts";

const heddle = join(import.meta.dirname, "../../../libs/sdk/bin/heddle.mjs");
const wait = ["--wait", "--timeout", "60s"];

let tools: KubernetesTools;
let cluster: ApiStandIn;
beforeAll(async () => {
  if (whyNoHelm === undefined) tools = await KubernetesTools.install();
});
afterAll(() => tools?.[Symbol.asyncDispose]());
beforeEach(async () => {
  cluster = await ApiStandIn.open();
});
afterEach(() => cluster[Symbol.asyncDispose]());

/** Runs Helm on the release heddle in the namespace work; its output. Rejects with its words. */
async function helm(command: string, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await tryHelm(command, ...args);
  if (code !== 0) throw new Error(`helm ${command} ended with ${code}: ${stderr}`);
  return stdout;
}

function tryHelm(command: string, ...args: readonly string[]): Promise<Ran> {
  return tools.helm([command, "heddle", ...args, "--namespace", "work"], cluster.kubeconfig);
}

interface Container {
  readonly image: string;
  readonly env: readonly { readonly name: string; readonly value?: string }[];
}

/** The container of the coordinator's pod. */
function coordinator(): Container {
  const template = cluster.all("apps/v1", "statefulsets").get("heddle-coordinator")?.spec?.template;
  const [only] =
    (template as { readonly spec: { readonly containers: readonly Container[] } } | undefined)?.spec.containers ?? [];
  if (only === undefined) throw new Error("there is no coordinator");
  return only;
}

function image(): string {
  return coordinator().image;
}

function replicas(deployment: string): unknown {
  return cluster.all("apps/v1", "deployments").get(deployment)?.spec?.replicas;
}

/** Status of each of the release's revisions. */
async function history(): Promise<readonly string[]> {
  const revisions = JSON.parse(await helm("history", "--output", "json")) as { readonly status: string }[];
  return revisions.map(({ status }) => status);
}

describe.skipIf(whyNoHelm !== undefined)(`a release${whyNoHelm === undefined ? "" : ` (${whyNoHelm})`}`, () => {
  test("is installed, upgraded, rolled back and uninstalled, and leaves nothing", async () => {
    expect(await helm("install", chart, ...wait)).toContain("helm test heddle --namespace work");
    expect([...cluster.all("apps/v1", "statefulsets").keys()].sort()).toEqual(["heddle-coordinator", "heddle-manager"]);
    expect(image()).toBe("heddle:0.1.0");
    await helm("upgrade", chart, ...wait, "--set", "image.tag=0.2.0");
    expect(image()).toBe("heddle:0.2.0");
    await helm("rollback", "1", ...wait);
    expect(image()).toBe("heddle:0.1.0");
    expect(await history()).toEqual(["superseded", "superseded", "deployed"]);
    await helm("uninstall", ...wait);
    for (const [apiVersion, plural] of [
      ["apps/v1", "statefulsets"],
      ["apps/v1", "deployments"],
      ["v1", "services"],
      ["v1", "serviceaccounts"],
      ["v1", "secrets"],
      ["policy/v1", "poddisruptionbudgets"],
      ["networking.k8s.io/v1", "networkpolicies"],
    ] as const)
      expect([plural, ...cluster.all(apiVersion, plural).keys()]).toEqual([plural]);
  });

  test("has its identities from the Secrets that heddle certs prints, and leaves them where they are", async () => {
    const scratch = await mkdtemp(join(tmpdir(), "heddle-secrets-"));
    try {
      const hosts = ["coordinator", "manager"].flatMap((name) => ["--host", `heddle-${name}.work.svc`]);
      const args = ["certs", "init", "--dir", join(scratch, "certs"), ...hosts];
      const secrets = ["--kubernetes", "heddle", "--namespace", "work"];
      const { stdout } = await promisify(execFile)(process.execPath, [heddle, ...args, ...secrets]);
      await writeFile(join(scratch, "secrets.yaml"), stdout, { mode: 0o600 });
      const applied = await tools.kubectl(["apply", "-f", join(scratch, "secrets.yaml")], cluster.kubeconfig);
      expect(applied).toMatchObject({ code: 0 });
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
    await helm("install", chart, ...wait);
    const pods = JSON.stringify([
      ...cluster.all("apps/v1", "statefulsets").values(),
      ...cluster.all("apps/v1", "deployments").values(),
    ]);
    const mounted = [...pods.matchAll(/"secretName":"([^"]+)"/g)].map(([, name]) => name);
    expect(mounted.sort()).toEqual(["heddle-agent", "heddle-coordinator", "heddle-manager"]);
    const there = cluster.all("v1", "secrets");
    for (const name of mounted) expect(there.get(name ?? "")).toMatchObject({ type: "kubernetes.io/tls" });
    await helm("uninstall", ...wait);
    expect([...cluster.all("v1", "secrets").keys()]).toEqual(expect.arrayContaining(mounted));
  });

  test("goes back by itself from an image whose pods do not become ready", async () => {
    await helm("install", chart, ...wait);
    cluster.objects.sickImages.add("heddle:0.3.0");
    const sick = ["--set", "image.tag=0.3.0", "--wait", "--timeout", "3s", "--rollback-on-failure"];
    const { code, stderr } = await tryHelm("upgrade", chart, ...sick);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("has been rolled back") });
    expect(image()).toBe("heddle:0.1.0");
    expect(await history()).toEqual(["superseded", "failed", "deployed"]);
  });

  test("leaves the number of pods of a pool that follows the queue to who scales it", async () => {
    const values = join(import.meta.dirname, "values/pools.yaml");
    await helm("install", chart, ...wait, "--values", values);
    const scale = ["scale", "deployment/heddle-agent-burst", "--replicas=7", "--namespace", "work"];
    expect(await tools.kubectl(scale, cluster.kubeconfig)).toMatchObject({ code: 0 });
    await helm("upgrade", chart, ...wait, "--values", values, "--set", "coordinator.drainSeconds=30");
    expect(replicas("heddle-agent-burst")).toBe(7);
    expect(replicas("heddle-agent-small")).toBe(0);
  });

  test("cannot change the size of volumes that are there; what was there stays, and the next upgrade goes through", async () => {
    await helm("install", chart, ...wait);
    const { code, stderr } = await tryHelm("upgrade", chart, ...wait, "--set", "manager.persistence.size=20Gi");
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining("spec.volumeClaimTemplates may not change"),
    });
    await helm("upgrade", chart, ...wait, "--set", "manager.drainSeconds=25");
    expect(await history()).toEqual(["superseded", "failed", "deployed"]);
  });

  test("keeps what was said of it through an upgrade, which brings the newer chart's defaults for the rest", async () => {
    const scratch = await mkdtemp(join(tmpdir(), "heddle-newer-chart-"));
    try {
      await cp(chart, scratch, { recursive: true });
      const values = await readFile(join(scratch, "values.yaml"), "utf8");
      const newer = values.replace("keptBytes: 6442450944", "keptBytes: 7000000000");
      expect(newer).not.toBe(values);
      await writeFile(join(scratch, "values.yaml"), newer);
      await helm("install", chart, ...wait, "--set", "coordinator.logLevel=debug");
      const said = ["--reset-then-reuse-values", "--set", "image.tag=0.2.0", "--rollback-on-failure"];
      await helm("upgrade", scratch, ...wait, ...said);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
    const { env, image } = coordinator();
    expect(image).toBe("heddle:0.2.0");
    expect(env).toContainEqual({ name: "HEDDLE_LOG_LEVEL", value: "debug" });
    expect(env).toContainEqual({ name: "HEDDLE_KEPT_BYTES", value: "7000000000" });
    expect(env).toContainEqual({ name: "HEDDLE_SPILL_BYTES", value: "1073741824" });
  });

  // What the test's pod runs is run in tests/deploy/image: nothing runs pods here.
  test("starts its test's pod by helm test, says that it has succeeded, and removes it", async () => {
    await helm("install", chart, ...wait);
    expect(await helm("test")).toContain("Phase:          Succeeded");
    expect([...cluster.all("v1", "pods").keys(), ...cluster.all("v1", "configmaps").keys()]).toEqual([]);
  });

  test("says by helm test that the test's pod has failed", async () => {
    await helm("install", chart, ...wait);
    cluster.objects.sickImages.add("heddle:0.1.0");
    const { code, stdout } = await tryHelm("test", "--timeout", "10s");
    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringContaining("Failed") });
  });
});
