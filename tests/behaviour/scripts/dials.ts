/** Dials the addresses that it is given in every way that a program has, with a secret at hand. It says what came of each, a line of JSON. */
import { createConnection } from "node:net";
import { connect, Manager, Pool, Queue } from "heddle";

const [kind = "", ...addresses] = process.argv.slice(2);
const token = "the-secret-nobody-beyond-this-machine-knows";

async function refusal(attempt: () => Promise<unknown>): Promise<string> {
  try {
    await attempt();
    return "nothing";
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}

async function throughHeddle(address: string): Promise<string[]> {
  for (const name of ["HEDDLE_TOKEN", "HEDDLE_ADDRESS"]) Reflect.deleteProperty(process.env, name);
  const attempts = [() => connect(address, { token }), () => connect(address)];
  const said = [];
  for (const attempt of attempts) said.push(await refusal(attempt));
  process.env.HEDDLE_TOKEN = token;
  const pool = new Pool({ address });
  said.push(await refusal(() => pool.apply(() => 1)));
  const manager = new Manager({ address });
  said.push(await refusal(() => manager.connect()));
  process.env.HEDDLE_ADDRESS = address;
  said.push(await refusal(() => new Queue<number>().put(1)));
  return said;
}

/** A fabric on this machine, whose shared objects are said to be elsewhere. */
async function throughManager(address: string): Promise<string[]> {
  const fabric = await connect(address, { token, unavailableTimeoutMs: 500 });
  const said = await refusal(() => fabric.manager().dict().size());
  return [said];
}

/** What is counted, if anything leaves. */
async function inTheRaw(address: string): Promise<string[]> {
  const [host, port] = address.split(":");
  const socket = createConnection(Number(port), host);
  socket.on("error", () => undefined);
  await new Promise((resolve) => setTimeout(resolve, 500));
  socket.destroy();
  return [];
}

const ways = { heddle: throughHeddle, manager: throughManager, raw: inTheRaw };
const way = Object.entries(ways).find(([name]) => name === kind)?.[1];
if (way === undefined) throw new Error(`no way ${kind}`);
const said: string[][] = [];
for (const address of addresses) said.push(await way(address));
process.stdout.write(`${JSON.stringify(said)}\n`);
process.exit(0);
