import { assertEquals } from "@std/assert";
import { addressRanges } from "../../lib/config/option_values.ts";
import { personAddress } from "../../lib/net/person_address.ts";
import { Proxies } from "../../lib/net/proxies.ts";

const unit = { permissions: "none" } as const;

Deno.test("an IPv4 address is a person's, and an IPv6 network of 64 bits is one", unit, () => {
  const proxies = new Proxies([]);
  const persons = [
    ["192.0.2.1", "192.0.2.1"],
    ["10.0.0.1", "10.0.0.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::FFFF:c000:0201", "192.0.2.1"],
    ["2001:db8::7", "2001:db8:0:0::/64"],
    ["2001:0DB8:0:0:ffff:ffff:ffff:ffff", "2001:db8:0:0::/64"],
    ["2001:db8:0:1::", "2001:db8:0:1::/64"],
    ["2001:db8:1:2:3:4:192.0.2.1", "2001:db8:1:2::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::2", "0:0:0:0::/64"],
  ] as const;
  for (const [address, person] of persons) assertEquals(personAddress(address, proxies), person, address);
});

Deno.test("loopback and the proxies' own addresses are no person's", unit, () => {
  const proxies = new Proxies(addressRanges("10.0.0.0/8,2001:db8:1::/48"));
  const nobodies = [
    "127.0.0.1",
    "127.1.2.3",
    "::1",
    "::ffff:127.0.0.1",
    "10.1.2.3",
    "2001:db8:1::7",
    "",
    "localhost",
  ];
  for (const address of nobodies) assertEquals(personAddress(address, proxies), undefined, address);
});
