import {
  type Connection,
  type Dict,
  type Fabric,
  type Guard,
  type List,
  type Lock,
  Manager,
  Pipe,
  type Pool,
  Process,
  range,
} from "heddle";
import { check, isPrime, measure } from "./measure.ts";

const CHILDREN = 4;
const BALLS = 100;
const PRIMES_BELOW = 100_000;

/** What the programs below run on. Each prints itself under its number. */
export interface Shared {
  readonly fabric: Fabric;
  readonly pool: Pool;
  readonly manager: Manager;
}

/** A list of processes that append to a shared one: start them all, join them all. */
export async function appendRandomNumbers({ fabric, manager }: Shared, number: number): Promise<void> {
  console.log(`\n${number}. ${CHILDREN} processes append random numbers to a shared list`);
  const numbers = manager.list<number>();
  const processes = Array.from(
    { length: CHILDREN },
    () => new Process({ target: appendRandom, args: [numbers], fabric }),
  );
  for (const process of processes) await process.start();
  for (const process of processes) await process.join();
  const drawn = await numbers.toArray();
  check(processes.every(({ exitCode }) => exitCode === 0) && new Set(drawn).size === CHILDREN, "random numbers");
  const places = processes.map(({ node, pid }) => `${node}/${pid}`).join(" ");
  console.log(`  ${drawn.map((n) => n.toFixed(4)).join(" ")} from ${places}`);
}

async function appendRandom(numbers: List<number>): Promise<void> {
  await numbers.append(Math.random());
}

/** Two processes on different nodes: a ball goes back and forth over a pipe, the score comes over a queue. */
export async function talk({ fabric, manager }: Shared, number: number): Promise<void> {
  console.log(`\n${number}. two processes on two nodes talk over a pipe and a queue`);
  const [one, other] = (await fabric.nodes()).map(({ name }) => name);
  const [left, right] = Pipe<number>({ fabric });
  const score = manager.queue<string>();
  const server = new Process({
    target: async (end: Connection<number>) => {
      let ball = 0;
      for (let serve = 0; serve < BALLS; serve++) {
        await end.send(ball);
        ball = await end.recv();
      }
      await end.close();
      await score.put(`${ball} returns`);
    },
    args: [left],
    fabric,
    ...(one === undefined ? {} : { node: one }),
  });
  const receiver = new Process({
    target: async (end: Connection<number>) => {
      for (let serve = 0; serve < BALLS; serve++) await end.send((await end.recv()) + 1);
      await score.put("and no ball lost");
    },
    args: [right],
    fabric,
    ...(other === undefined ? {} : { node: other }),
  });
  await Promise.all([server.start(), receiver.start()]);
  const told = await measure(async () => [await score.get(), await score.get()].sort());
  await Promise.all([server.join(), receiver.join()]);
  check(told.value.join() === `${BALLS} returns,and no ball lost`, "the score");
  const perSecond = Math.round(BALLS / told.seconds).toLocaleString("en-US");
  console.log(`  ${server.node} and ${receiver.node}: ${told.value.join(" ")}, ${perSecond} round trips/s`);
}

/** What a process appends to a plain list stays in its copy; what it does with a shared one everybody sees. */
export async function shareAndKeep({ fabric, manager }: Shared, number: number): Promise<void> {
  console.log(`\n${number}. a private and a shared list, a private and a shared dict`);
  const privateList: string[] = [];
  const privateDict = new Map<string, number>();
  const sharedList = manager.list<string>();
  const sharedDict = manager.dict<string, number>();
  const process = new Process({
    target: async () => {
      privateList.push("from the process");
      privateDict.set("answer", 42);
      await sharedList.append("from the process");
      await sharedDict.set("answer", 42);
    },
    fabric,
  });
  await process.start();
  await process.join();
  const seen = { list: await sharedList.toArray(), dict: Object.fromEntries(await sharedDict.entries()) };
  check(privateList.length === 0 && privateDict.size === 0, "what is private");
  check(seen.list.length === 1 && seen.dict.answer === 42, "what is shared");
  console.log(
    `  private: ${JSON.stringify(privateList)} {}   shared: ${JSON.stringify(seen.list)} ${JSON.stringify(seen.dict)}`,
  );
}

/** Tasks append what they find, without waiting for it: it is there when the map is done. */
export async function collectPrimes({ pool, manager }: Shared, number: number): Promise<void> {
  console.log(`\n${number}. primes below ${PRIMES_BELOW.toLocaleString("en-US")}, collected in a shared list`);
  const primes = manager.list<number>();
  const collect = (n: number): void => {
    if (isPrime(n)) void primes.append(n);
  };
  const found = await measure(async () => {
    await pool.map(collect, range(PRIMES_BELOW));
    return await primes.toArray();
  });
  const expected = Array.from(range(PRIMES_BELOW)).filter(isPrime);
  check(found.value.sort((a, b) => a - b).join() === expected.join(), "collected primes");
  console.log(`  ${expected.length.toLocaleString("en-US")} primes, each once, in ${found.seconds.toFixed(3)} s`);
}

/**
 * A teller is killed half-way through a transfer, inside the lock. The lock is the next one's at once, and the books are right: a transaction is
 * done as a whole or not at all. A write under the token of a lock that is another's by now is refused.
 */
export async function killTeller({ fabric, manager }: Shared, number: number): Promise<void> {
  console.log(`\n${number}. a bank transfer under a lock, whose holder is killed half-way`);
  const accounts = manager.dict({ alice: 100, bob: 100 });
  const lock = manager.lock({ name: "ledger" });
  const withdrawn = manager.queue<bigint>();
  const teller = new Process({
    target: () =>
      lock.run(({ token }) =>
        new Manager().transaction(async (tx) => {
          const books = tx.use(accounts);
          await books.increment("alice", -30);
          await withdrawn.put(token);
          await new Promise(() => undefined); // it is killed here: bob never gets them
        }),
      ),
    fabric,
  });
  await teller.start();
  const firstToken = await withdrawn.get();
  await teller.kill();
  const guard = await lock.acquire();
  const found = await accounts.entries();
  check(guard.token > firstToken && found.every(([, balance]) => balance === 100), "the books");
  await guard.run(() =>
    manager.transaction(async (tx) => {
      await tx.use(accounts).increment("alice", -30);
      await tx.use(accounts).increment("bob", 30);
    }),
  );
  await teller.join();
  console.log(`  teller on ${teller.node}: exit code ${teller.exitCode} inside the lock, with token ${firstToken}`);
  console.log(
    `  the next one, with token ${guard.token}, found ${inWords(found)} and left ${inWords(await accounts.entries())}`,
  );
  const refusal = await writeTooLate(guard, lock, accounts);
  check((await accounts.get("alice")) === 70, "what came too late");
  console.log(`  a write that came when the lock was another's: ${refusal}`);
}

/** Writes under a guard when the lock has another holder. Resolves to why it was refused. */
async function writeTooLate(guard: Guard, lock: Lock, accounts: Dict<string, number>): Promise<string> {
  const { promise: isTaken, resolve: taken } = Promise.withResolvers<void>();
  const late = guard.run(async () => {
    await isTaken;
    await accounts.set("alice", 1_000_000);
  });
  await guard.release();
  await using _next = await lock.acquire();
  taken();
  return await late.then(() => "it was written", String);
}

function inWords(balances: readonly (readonly [string, number])[]): string {
  return balances.map(([name, balance]) => `${name} ${balance}`).join(", ");
}
