import { connect, Manager, Value } from "heddle";

/** Adds to the value of a name, a hundred times and awaiting nothing, and closes the fabric's handle; with something that cannot be added when it is bad. */
export async function addAsItCloses(name: string, isBad: boolean): Promise<void> {
  await using fabric = await connect();
  const total = new Value("i64", 0n, { name, fabric });
  for (let n = 0; n < 100; n++) void total.add(1n);
  if (isBad) void total.add("1" as never);
}

/** Appends to the list of a name, a hundred times and awaiting nothing, and closes its manager; also something that is refused when it is bad. */
export async function fillAsItCloses(name: string, isBad: boolean): Promise<void> {
  await using manager = new Manager();
  const list = manager.list<number>([], { name });
  for (let n = 0; n < 100; n++) void list.append(n);
  if (isBad) void list.set(99_999, 0);
}
