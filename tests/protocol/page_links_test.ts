import { assertEquals } from "@std/assert";
import { pageLink, readPageLink } from "../../lib/protocol/page_links.ts";
import { createCode } from "../../lib/store/access_codes.ts";

Deno.test("a code stands in an address of the page where no server sees it, and is found again", () => {
  for (const kind of ["invite", "reset", "join"] as const) {
    const code = createCode();
    const address = pageLink("https://chat.example/c/", { kind, code });
    assertEquals(new URL(address).pathname + new URL(address).search, "/c/");
    assertEquals(readPageLink(address), { kind, code });
    assertEquals(readPageLink(new URL(address).hash), { kind, code });
  }
  for (
    const other of ["", "#u1-2", "#joined-abc", "#reset-", "#reset-a b", "https://chat.example/reset-abc"]
  ) {
    assertEquals(readPageLink(other), undefined, other);
  }
});
