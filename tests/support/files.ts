/** The paths of all files under a folder of the project, from the project's root, as "lib/base/clock.ts". */
export async function walkFiles(folder: URL): Promise<string[]> {
  const root = new URL("../../", import.meta.url);
  const paths: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const url = new URL(`${encodeURIComponent(entry.name)}${entry.isDirectory ? "/" : ""}`, folder);
    if (entry.isDirectory) paths.push(...await walkFiles(url));
    else paths.push(decodeURIComponent(url.pathname.slice(root.pathname.length)));
  }
  return paths.sort();
}
