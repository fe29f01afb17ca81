import { type Random, seededRandom } from "@heddle/kernel";
import { type Key, Manager } from "heddle";
import { expect, test } from "vitest";
import { ObjectsWorld } from "../../harness/objects-world.ts";

/** A call of a method: its name, and what it is called with. */
type Call = readonly [name: string, ...args: unknown[]];

const keys: readonly Key[] = ["a", "b", 1, "1", true, ["a", 1]];
const values: readonly unknown[] = [0, 1, 2, "x", undefined, { a: 1, b: [2] }, { b: [2], a: 1 }];

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.int(from.length)] as T;
}

function dictCall(random: Random): Call {
  const [key, value] = [pick(random, keys), pick(random, values)];
  const calls: readonly Call[] = [
    ["get", key],
    ["get", key, "fallback"],
    ["set", key, value],
    ["delete", key],
    ["has", key],
    ["size"],
    ["keys"],
    ["values"],
    ["entries"],
    ["clear"],
    ["pop", key],
    ["pop", key, "fallback"],
    ["popItem"],
    ["setDefault", key, value],
    [
      "update",
      [
        [key, value],
        [pick(random, keys), 7],
      ],
    ],
    ["increment", key],
    ["increment", key, 2n],
    ["compareAndSet", key, value, "swapped"],
    ["compareAndSet", key, undefined, 1],
  ];
  return pick(random, calls);
}

function listCall(random: Random): Call {
  const [index, item] = [random.int(9) - 4, pick(random, [1, 2, 3])];
  const calls: readonly Call[] = [
    ["at", index],
    ["set", index, item],
    ["append", item],
    ["extend", [item, 9]],
    ["insert", index, item],
    ["pop"],
    ["pop", index],
    ["remove", item],
    ["delete", index],
    ["index", item],
    ["count", item],
    ["includes", item],
    ["sort"],
    ["sort", { descending: true }],
    ["reverse"],
    ["slice", index, random.int(9) - 4],
    ["slice", index],
    ["length"],
    ["clear"],
    ["toArray"],
  ];
  return pick(random, calls);
}

function valueCall(random: Random): Call {
  const calls: readonly Call[] = [
    ["get"],
    ["set", random.int(256)],
    ["add", random.int(600) - 300],
    ["compareExchange", 5, random.int(256)],
    ["set", 300],
    ["compareExchange", 4, 5],
  ];
  return pick(random, calls);
}

/** What a call gives, or the class of its error. */
async function outcome(target: object, [name, ...args]: Call): Promise<unknown> {
  try {
    return { gave: await Reflect.apply(Reflect.get(target, name), target, args) };
  } catch (error) {
    return { threw: error instanceof Error ? error.name : error };
  }
}

async function outcomes(target: object, calls: readonly Call[]): Promise<unknown[]> {
  const all: unknown[] = [];
  for (const call of calls) all.push([call, await outcome(target, call)]);
  return all;
}

const RUNS = 300;

test("whatever is called of a dict, a list and a value in a transaction gives what it gives outside, and leaves what it leaves", async () => {
  await using world = await ObjectsWorld.open();
  const manager = new Manager({ fabric: (await world.client("ours")).fabric });
  for (let seed = 0; seed < RUNS; seed++) {
    const random = seededRandom(seed, "transaction views");
    const callsOf = (one: (random: Random) => Call): Call[] =>
      Array.from({ length: 1 + random.int(12) }, () => one(random));
    const [dictCalls, listCalls, valueCalls] = [callsOf(dictCall), callsOf(listCall), callsOf(valueCall)];
    const make = () => ({
      dict: manager.dict<Key, unknown>([
        ["a", 1],
        [1, "one"],
        ["b", { a: 1, b: [2] }],
      ]),
      list: manager.list([3, 1, 2, 1]),
      value: manager.value("u8", 4),
    });
    const [inside, outside] = [make(), make()];
    const got = await manager.transaction(async (tx) => [
      await outcomes(tx.use(inside.dict), dictCalls),
      await outcomes(tx.use(inside.list), listCalls),
      await outcomes(tx.use(inside.value), valueCalls),
    ]);
    const expected = [
      await outcomes(outside.dict, dictCalls),
      await outcomes(outside.list, listCalls),
      await outcomes(outside.value, valueCalls),
    ];
    expect(got, `seed ${seed}`).toEqual(expected);
    const left = async ({ dict, list, value }: typeof inside): Promise<unknown[]> => [
      await dict.entries(),
      await list.toArray(),
      await value.get(),
    ];
    expect(await left(inside), `seed ${seed}`).toEqual(await left(outside));
    for (const made of [inside, outside]) for (const object of Object.values(made)) await object.destroy();
  }
});
