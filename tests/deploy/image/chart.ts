import { type KubernetesObject, KubernetesTools } from "../kubernetes/tools.ts";

/** What the chart has containers of the image do. */
export interface ChartsWishes {
  /** Arguments of the program that `helm test` runs. */
  readonly testArgs: readonly string[];
  /** The texts in /scripts beside it, by name. */
  readonly testScripts: Readonly<Record<string, string>>;
  /** Command that is run in an agent's container before SIGTERM. */
  readonly hook: readonly string[];
  /** Of an agent. */
  readonly drainMs: string;
}

interface Container {
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
}

interface PodSpec {
  readonly containers: readonly [Container];
}

/** Renders the chart with agents that drain for so long. Rejects with Helm's words, and when it has not what these tests run. */
export async function wishesOfChart(drainSeconds: number): Promise<ChartsWishes> {
  await using tools = await KubernetesTools.install();
  const objects = await tools.template([], [`poolDefaults.drainSeconds=${drainSeconds}`]);
  const [test] = (named(objects, "Pod", "heddle-test").spec as PodSpec).containers;
  const deployment = named(objects, "Deployment", "heddle-agent-default").spec;
  const [agent] = (deployment as { readonly template: { readonly spec: PodSpec } }).template.spec.containers;
  const hook = agent.lifecycle?.preStop.exec.command;
  const drainMs = agent.env.find(({ name }) => name === "HEDDLE_DRAIN_MS")?.value;
  if (hook === undefined || drainMs === undefined) throw new Error("the chart's agents have no hook, or no drain");
  const testScripts = named(objects, "ConfigMap", "heddle-test").data as Readonly<Record<string, string>>;
  return { testArgs: test.args, testScripts, hook, drainMs };
}

function named(objects: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`the chart makes no ${kind} ${name}`);
  return found;
}
