"""Whose a customer is, and who may do what with one (SAFE-1): it follows the account it is the customer of."""

from revops.access import Policy, Resource
from revops.billing.model import Customer
from revops.billing.ports import AccountDirectory
from revops.billing.store import find_customer
from revops.kernel import CallContext, Forbidden, NotFound, Principal
from revops.table import Table


class CustomerRights:
    """Answers what a principal may do with a customer. Its owner is the account's at this moment; a customer without an
    account is for those who reach everybody's."""

    def __init__(self, table: Table, policy: Policy, accounts: AccountDirectory) -> None:
        self._table = table
        self._policy = policy
        self._accounts = accounts

    def readable(self, identifier: str, call: CallContext) -> Customer:
        """By our id, a Stripe customer or a payment intent. Raises NotFound, also for who may not read it."""
        customer = find_customer(self._table, identifier)
        if customer is None or not self._policy.reads(call.principal, Resource.BILLING, self._owner(customer)):
            raise NotFound("customer", identifier[:60])
        return customer

    def workable(self, identifier: str, call: CallContext) -> Customer:
        """A customer whose relation the caller looks after: notes, follow-ups and assets are for whoever may change the
        account or what is billed. Raises NotFound, or Forbidden for who may only read."""
        return self._allowed(identifier, call, Resource.BILLING, Resource.ACCOUNTS)

    def endable(self, identifier: str, call: CallContext) -> Customer:
        """A customer whose subscriptions the caller may end: for whoever may change what is billed, or what was ordered
        (STR-5). Raises NotFound, or Forbidden for who may only read."""
        return self._allowed(identifier, call, Resource.BILLING, Resource.ORDERS)

    def _allowed(self, identifier: str, call: CallContext, *resources: Resource) -> Customer:
        customer = self.readable(identifier, call)
        if not any(self._writes(call.principal, resource, customer) for resource in resources):
            raise Forbidden(f"a {call.principal.role.value} may read this customer but not change it")
        return customer

    def _writes(self, principal: Principal, resource: Resource, customer: Customer) -> bool:
        return self._policy.writes(principal, resource, self._owner(customer))

    def _owner(self, customer: Customer) -> str:
        return (self._accounts.owner_of(customer.account_id) or "") if customer.account_id else ""
