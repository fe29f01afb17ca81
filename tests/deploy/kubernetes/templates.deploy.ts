import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { problemsOf } from "./schemas.ts";
import { chart, type KubernetesObject, KubernetesTools, templateArgs, whyNoHelm } from "./tools.ts";

const directory = join(import.meta.dirname, "values");
const files = readdirSync(directory).map((name) => join(directory, name));
const valuesFile = (name: string): string => join(directory, `${name}.yaml`);

let tools: KubernetesTools;
beforeAll(async () => {
  if (whyNoHelm === undefined) tools = await KubernetesTools.install();
});
afterAll(() => tools?.[Symbol.asyncDispose]());

/** A pod's template, as far as these tests look at it. */
interface PodSpec {
  readonly automountServiceAccountToken?: boolean;
  readonly enableServiceLinks?: boolean;
  readonly securityContext: object;
  readonly serviceAccountName?: string;
  readonly terminationGracePeriodSeconds: number;
  readonly nodeSelector?: object;
  readonly containers: readonly Container[];
  readonly volumes: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[];
}

interface Container {
  readonly image: string;
  readonly env: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: object }[];
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly securityContext: object;
  readonly livenessProbe?: { readonly httpGet: object };
  readonly startupProbe?: { readonly periodSeconds: number; readonly failureThreshold: number };
}

interface Workload extends KubernetesObject {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: object;
    readonly serviceName?: string;
    readonly volumeClaimTemplates?: unknown;
    readonly template: { readonly spec: PodSpec };
  };
}

function isWorkload(object: KubernetesObject): object is Workload {
  return ["Deployment", "DaemonSet", "StatefulSet"].includes(object.kind);
}

function workload(objects: readonly KubernetesObject[], name: string): Workload {
  const found = objects.filter(isWorkload).find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw new Error(`there is no workload ${name}`);
  return found;
}

function podOf(object: KubernetesObject): PodSpec | undefined {
  if (object.kind === "Pod") return object.spec as PodSpec;
  return isWorkload(object) ? object.spec.template.spec : undefined;
}

function container(of: Workload): Container {
  const [first] = of.spec.template.spec.containers;
  if (first === undefined) throw new Error(`${of.metadata.name} has no container`);
  return first;
}

/** Environment of a workload's container, texts alone. */
function environment(of: Workload): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(container(of).env.map(({ name, value }) => [name, value]));
}

const named = (objects: readonly KubernetesObject[], kind: string): readonly string[] =>
  objects.filter((object) => object.kind === kind).map(({ metadata }) => metadata.name);

describe.skipIf(whyNoHelm !== undefined)(`the chart${whyNoHelm === undefined ? "" : ` (${whyNoHelm})`}`, () => {
  test("helm lint has nothing to say, whatever the values", async () => {
    for (const file of [undefined, ...files]) {
      const values = file === undefined ? [] : ["--values", file];
      const { code, stdout } = await tools.helm(["lint", chart, "--strict", "--quiet", ...values]);
      expect([file, code, stdout.trim()]).toEqual([file, 0, ""]);
    }
  });

  test("all that it makes is as the schemas of Kubernetes want it, each field of it", async () => {
    const all = await Promise.all([[], ...files.map((file) => [file])].map((given) => tools.template(given)));
    expect(all.flat().length).toBeGreaterThan(60);
    expect(await problemsOf(all.flat(), tools.models)).toEqual([]);
  });

  test("a field that is misspelt, of a wrong type or of no known kind would be seen", async () => {
    const metadata = { name: "x" };
    const selector = { matchLabels: { a: "b" } };
    const objects: KubernetesObject[] = [
      { apiVersion: "policy/v1", kind: "PodDisruptionBudget", metadata, spec: { maxUnavailabel: 1, selector } },
      { apiVersion: "policy/v1", kind: "PodDisruptionBudget", metadata: { name: "y" }, spec: { selector: 1 } },
      { apiVersion: "policy/v1", kind: "PodBudget", metadata, spec: {} },
    ];
    const problems = await problemsOf(objects, tools.models);
    for (const words of [/^PodDisruptionBudget\/x: .*maxUnavailabel/, /^PodDisruptionBudget\/y: /, /^PodBudget\/x: /])
      expect(problems).toContainEqual(expect.stringMatching(words));
  });

  test("no pod runs as root, writes to its image, has a capability or a token, or finds other services in its environment", async () => {
    const all = await Promise.all([[], ...files.map((file) => [file])].map((given) => tools.template(given)));
    const pods = all.flat().flatMap((object) => podOf(object) ?? []);
    expect(pods.length).toBeGreaterThan(10);
    for (const pod of pods) {
      expect(pod).toMatchObject({
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: "RuntimeDefault" } },
      });
      for (const { securityContext } of pod.containers)
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          privileged: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        });
    }
    const accounts = all.flat().filter(({ kind }) => kind === "ServiceAccount");
    expect(accounts.length).toBeGreaterThan(4);
    expect(accounts.filter(({ automountServiceAccountToken }) => automountServiceAccountToken !== false)).toEqual([]);
    expect(all.flat().filter(({ kind }) => /Role/.test(kind))).toEqual([]);
  });

  test("each server is asked for its health in plain HTTP, and has its identity from the Secret of its role", async () => {
    const objects = await tools.template([]);
    for (const [name, secret] of [
      ["heddle-coordinator", "heddle-coordinator"],
      ["heddle-manager", "heddle-manager"],
      ["heddle-agent-default", "heddle-agent"],
    ] as const) {
      const of = workload(objects, name);
      expect(container(of).livenessProbe?.httpGet).toEqual({ path: "/healthz", port: "http" });
      expect(of.spec.template.spec.volumes).toContainEqual({
        name: "tls",
        secret: { secretName: secret, defaultMode: 0o400 },
      });
      expect(environment(of)).toMatchObject({ HEDDLE_TLS_DIR: "/etc/heddle/tls", HEDDLE_HTTP: "0.0.0.0:7434" });
    }
    expect(environment(workload(objects, "heddle-coordinator")).HEDDLE_MANAGER).toBe("heddle-manager.work.svc:7435");
  });

  test("a server has ten minutes to check what is on its volume before it is taken for one that hangs", async () => {
    const objects = await tools.template([]);
    for (const name of ["heddle-coordinator", "heddle-manager"]) {
      const { periodSeconds = 0, failureThreshold = 0 } = container(workload(objects, name)).startupProbe ?? {};
      expect(periodSeconds * failureThreshold).toBe(600);
    }
  });

  test("a pod's hook closes the node at once, and leaves all of the grace period but 30 s to the drain that SIGTERM begins", async () => {
    const objects = await tools.template([valuesFile("pools")]);
    for (const [name, seconds] of [
      ["gpu", 120],
      ["burst", 600],
    ] as const) {
      const of = workload(objects, `heddle-agent-${name}`);
      const command = ["heddle", "drain", "--self", "--no-wait", "--deadline", `${seconds + 30}s`];
      expect(container(of).lifecycle?.preStop.exec.command).toEqual(command);
      expect(environment(of).HEDDLE_DRAIN_MS).toBe(String(seconds * 1000));
      expect(of.spec.template.spec.terminationGracePeriodSeconds).toBe(seconds + 30);
    }
  });

  test("an agent has a process for each core of its limit, part of one counting as one, and heaps that fit the memory together", async () => {
    const objects = await tools.template([valuesFile("pools")]);
    const fromLimit = {
      name: "HEDDLE_PROCESSES",
      valueFrom: { resourceFieldRef: { resource: "limits.cpu", divisor: "1" } },
    };
    for (const [name, percent] of [
      ["gpu", 18],
      ["burst", 37],
    ] as const) {
      expect(container(workload(objects, `heddle-agent-${name}`)).env).toContainEqual(fromLimit);
      expect(environment(workload(objects, `heddle-agent-${name}`)).NODE_OPTIONS).toBe(
        `--max-old-space-size-percentage=${percent}`,
      );
    }
    const small = container(workload(objects, "heddle-agent-small")).env;
    expect(small).toContainEqual({ name: "HEDDLE_PROCESSES", value: "3" });
    expect(small.filter(({ name }) => name === "NODE_OPTIONS").map(({ value }) => value)).toEqual([
      "--max-old-space-size=200",
    ]);
  });

  test("pools are Deployments or DaemonSets, with what each says and the defaults for the rest", async () => {
    const objects = await tools.template([valuesFile("pools")]);
    const gpu = workload(objects, "heddle-agent-gpu");
    expect(gpu).toMatchObject({ kind: "DaemonSet", spec: { template: { spec: { runtimeClassName: "nvidia" } } } });
    expect(gpu.spec.replicas).toBeUndefined();
    expect(environment(gpu)).toMatchObject({
      HEDDLE_LABEL: "pool=gpu,kubernetes-node=$(KUBERNETES_NODE),accelerator=a100",
      HEDDLE_RESOURCE: "gpu=1,licence=0.5",
    });
    expect(gpu.spec.template.spec.nodeSelector).toEqual({ accelerator: "a100" });
    expect(workload(objects, "heddle-agent-small").spec.replicas).toBe(0);
    expect(container(gpu).image).toMatch(/^registry\.example\/compute\/heddle@sha256:[0-9a-f]{64}$/);
  });

  test("agents may have rights of a cloud's, and the test's pod has its place", async () => {
    const objects = await tools.template([valuesFile("pools")]);
    const account = objects.find(({ kind, metadata }) => kind === "ServiceAccount" && /agent/.test(metadata.name));
    expect(account?.metadata).toMatchObject({ annotations: { "eks.amazonaws.com/role-arn": expect.any(String) } });
    expect(objects.find(({ kind }) => kind === "Pod")?.spec).toMatchObject({
      nodeSelector: { pool: "general" },
      tolerations: [{ key: "batch", operator: "Exists" }],
    });
  });

  test("evictions are bounded where Kubernetes can count the pods: of all but DaemonSets", async () => {
    const objects = await tools.template([valuesFile("pools")]);
    expect([...named(objects, "PodDisruptionBudget")].sort()).toEqual([
      "heddle-agent-burst",
      "heddle-agent-small",
      "heddle-coordinator",
      "heddle-manager",
    ]);
    for (const { kind, spec } of objects)
      if (kind === "PodDisruptionBudget") expect(spec).toMatchObject({ unhealthyPodEvictionPolicy: "AlwaysAllow" });
  });

  test("what speaks TLS is marked as that, for meshes that would take a port called grpc for one in clear", async () => {
    const services = (await tools.template([])).filter(({ kind }) => kind === "Service");
    const ports = services.flatMap(
      ({ spec }) => (spec as { ports: readonly { name: string; appProtocol: string }[] }).ports,
    );
    const marks = new Set(ports.map(({ name, appProtocol }) => `${name} is ${appProtocol}`));
    expect([...marks].sort()).toEqual(["grpc is tls", "http is http"]);
  });

  test("tasks reach all but the metadata services of clouds, pods of the cluster too", async () => {
    const policies = (await tools.template([])).filter(({ kind }) => kind === "NetworkPolicy");
    const ofAgents = policies.filter(({ metadata }) => metadata.name === "heddle-agent");
    const peers = ofAgents.flatMap(({ spec }) =>
      (spec as { readonly egress: readonly { readonly to?: readonly object[] }[] }).egress.flatMap(({ to = [] }) => to),
    );
    expect(peers).toContainEqual({ namespaceSelector: {} });
    const closed = JSON.stringify(peers);
    for (const range of ["169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::/32"])
      expect(closed).toContain(range);
  });

  test("the cluster may choose the user, and DNS may be at another port", async () => {
    const nobody = '{"runAsUser":null,"runAsGroup":null,"fsGroup":null}';
    const objects = await tools.template([], [`securityContext=${nobody}`, "networkPolicy.dnsPorts=[5353]"]);
    const { securityContext } = workload(objects, "heddle-coordinator").spec.template.spec;
    expect(Object.keys(securityContext).sort()).toEqual(["fsGroupChangePolicy", "runAsNonRoot", "seccompProfile"]);
    const policies = objects.filter(({ kind }) => kind === "NetworkPolicy");
    expect(JSON.stringify(policies)).toContain('[{"port":5353,"protocol":"UDP"},{"port":5353,"protocol":"TCP"}]');
    expect(JSON.stringify(policies)).not.toContain('"port":53,');
  });

  test("a pool that follows the queue has as many pods as have the slots that are wanted, and no number of its own", async () => {
    const objects = await tools.template([valuesFile("pools")]);
    expect(workload(objects, "heddle-agent-burst").spec.replicas).toBeUndefined();
    expect(named(objects, "HorizontalPodAutoscaler")).toEqual(["heddle-agent-burst"]);
    expect(objects.find(({ kind }) => kind === "HorizontalPodAutoscaler")?.spec).toMatchObject({
      scaleTargetRef: { kind: "Deployment", name: "heddle-agent-burst" },
      maxReplicas: 40,
      metrics: [
        {
          object: {
            metric: { name: "heddle_coordinator_slots_wanted" },
            describedObject: { kind: "Service", name: "heddle-coordinator-pods" },
            target: { type: "AverageValue", averageValue: "2" },
          },
        },
      ],
    });
  });

  test("without TLS there is one pod that serves its own loopback, and nothing else", async () => {
    const objects = await tools.template([valuesFile("one-pod")]);
    expect(objects.filter(isWorkload).map(({ metadata }) => metadata.name)).toEqual(["heddle"]);
    expect(environment(workload(objects, "heddle")).HEDDLE_LISTEN).toBe("127.0.0.1:7433");
    const { code, stderr } = await tools.helm(templateArgs([], ["tls.enabled=false"]));
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining("tls.enabled: false needs onePod.enabled: true"),
    });
  });

  test("health and metrics are at no Service that may be open to the world, and let in nobody but whom values name", async () => {
    const objects = await tools.template([valuesFile("watched")]);
    const services = objects.filter(({ kind }) => kind === "Service") as (KubernetesObject & {
      readonly spec: { readonly clusterIP?: string; readonly ports: readonly { readonly name: string }[] };
    })[];
    const withHttp = services.filter(({ spec }) => spec.ports.some(({ name }) => name === "http"));
    expect(withHttp.map(({ spec }) => spec.clusterIP)).toEqual(["None", "None"]);
    const policy = (name: string) =>
      objects.find(({ kind, metadata }) => kind === "NetworkPolicy" && metadata.name === name)?.spec;
    const monitoring = [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "monitoring" } } }];
    expect(policy("heddle-agent")).toMatchObject({ ingress: [{ ports: [{ port: "http" }], from: monitoring }] });
    expect(policy("heddle-coordinator")).toMatchObject({
      ingress: [{ ports: [{ port: "grpc" }] }, { ports: [{ port: "http" }], from: monitoring }],
    });
    expect(policy("heddle-agent")).not.toMatchObject({ egress: expect.arrayContaining([{ to: expect.anything() }]) });
    expect(named(objects, "ServiceMonitor")).toEqual(["heddle"]);
  });

  test("what a StatefulSet, a Deployment or a Service keeps for life does not change with the chart, the image or the values of another release", async () => {
    const fixed = (objects: readonly KubernetesObject[]) =>
      objects.filter(isWorkload).map(({ metadata, spec }) => ({
        name: metadata.name,
        selector: spec.selector,
        serviceName: spec.serviceName,
        claims: spec.volumeClaimTemplates,
      }));
    const set = ['image.tag="9.9.9"', 'coordinator.podLabels={"a":"b"}', 'coordinator.env=[{"name":"A","value":"b"}]'];
    const { stdout } = await tools.helm(["show", "chart", chart]);
    expect(stdout).toContain("version: 0.1.0");
    expect(fixed(await tools.template([], set))).toEqual(fixed(await tools.template([])));
    expect(JSON.stringify(fixed(await tools.template([])))).not.toContain("0.1.0");
  });
});

describe.skipIf(whyNoHelm !== undefined)("values that are wrong are refused, and named", () => {
  const pool = (more: string): string => `pools=[{"name":"p","resources":{"limits":{"cpu":1,"memory":"1Gi"}}${more}}]`;

  test.each([
    ["replica=3", "replica"],
    ['coordinator.resource={"limits":{}}', "resource"],
    ["coordinator.replicas=3", "replicas"],
    ['coordinator.logLevel="loud"', "logLevel"],
    ['coordinator.persistence.accessModes=["ReadWriteMany"]', "accessModes"],
    ['image.tag="latest"', "tag"],
    ['image.digest="sha256:12"', "digest"],
    ["securityContext.runAsUser=0", "runAsUser"],
    ['pools=[{"name":"p"}]', "resources"],
    ['pools=[{"name":"p","resources":{"limits":{"memory":"1Gi"}}}]', "cpu"],
    ['pools=[{"name":"p","resources":{"limits":{"cpu":0,"memory":"1Gi"}}}]', "cpu"],
    ['pools=[{"name":"P","resources":{"limits":{"cpu":1,"memory":"1Gi"}}}]', "name"],
    [pool(',"replicas":-1'), "replicas"],
    [pool(',"kind":"ReplicaSet"'), "kind"],
    [pool(',"kind":"DaemonSet","replicas":2'), "pools/0"],
    [pool(',"kind":"DaemonSet","autoscaling":{"enabled":true}'), "pools/0"],
    [pool(',"kind":"DaemonSet","podDisruptionBudget":{"maxUnavailable":1}'), "pools/0"],
    [pool(',"labels":{"a":"b,c"}'), "labels"],
    [pool(',"offers":{"gpu":"two"}'), "offers"],
    ['monitoring.interval="often"', "interval"],
  ])("%s", async (set, named) => {
    const { code, stderr } = await tools.helm(templateArgs([], [set]));
    expect(code).toBe(1);
    expect(stderr).toContain("values don't meet the specifications of the schema");
    expect(stderr).toContain(named);
  });

  test.each([
    ['poolDefaults={"autoscaling":{"enabled":true}}', pool(',"kind":"DaemonSet"'), "no autoscaling"],
    ['poolDefaults={"maxUnavailable":"0%"}', pool(',"kind":"DaemonSet"'), "maxUnavailable cannot be 0"],
    ['poolDefaults={"maxUnavailable":0}', pool(',"maxSurge":0'), "cannot both be 0"],
    [
      'poolDefaults={"autoscaling":{"minReplicas":20}}',
      pool(',"autoscaling":{"maxReplicas":3}'),
      "more than maxReplicas",
    ],
    ["monitoring.enabled=true", "pools=[]", "needs networkPolicy.metrics"],
  ])("%s with %s", async (first, second, words) => {
    const { code, stderr } = await tools.helm(templateArgs([], [first, second]));
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(words) });
  });

  test("two pools of one name", async () => {
    const one = '{"name":"p","resources":{"limits":{"cpu":1,"memory":"1Gi"}}}';
    const { code, stderr } = await tools.helm(templateArgs([], [`pools=[${one},${one}]`]));
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("two pools are called p") });
  });
});
