"""Keeps the clients and roles of mosquitto's dynamic security plug-in in step with the registry, for small fleets.

Measured with mosquitto 2.0.11 (https://mosquitto.org/documentation/dynamic-security/), and what follows from it:

- Each command rewrites the plug-in's whole file while the broker stands still: 22 ms with 1,000 devices, 176 ms with 10,000.
  Hence a limit to the number of devices, and pauses for the broker between commands that are in no hurry.
- `createClient` takes roles along, and `modifyRole` with a list of access rules replaces them; neither cuts a connection.
  `addClientRole` would. `disableClient`, `deleteClient` and `modifyClient` cut the connections of the client, as they should.
- A pattern `a/#` grants exactly `a` and what is below it, for publishing, subscribing and receiving alike, and no shared
  subscription.
- A password cannot be read back, so a digest of it under the gateway's own key stands in the client's description.
- One gateway should do this for a broker. Two with one registry do the same work twice and agree; what they trip over is
  mended at the next look. Gateways with different master keys never touch what the other one keeps.
"""
