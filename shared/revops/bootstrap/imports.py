"""Lists of leads as files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING

from revops.bootstrap.channels import ChannelWiring

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from revops.adapters.import_files import S3ImportFiles, SqsImportQueue
    from revops.api.imports import ImportUseCases
    from revops.channels.imports.blocks import StoreRows
    from revops.channels.imports.messages import HandleImportMessage
    from revops.channels.imports.model import ImportJob
    from revops.channels.imports.store import Hold
    from revops.kernel import CallContext

LOOKUPS = 4
"""How many keys are looked under at once."""


class ImportWiring(ChannelWiring):
    """Imports: what people ask of them, and their worker."""

    @cached_property
    def import_files(self) -> S3ImportFiles:
        from revops.adapters.import_files import S3ImportFiles

        return S3ImportFiles(self.aws("s3"), self.config.import_bucket)

    @cached_property
    def import_queue(self) -> SqsImportQueue:
        from revops.adapters.import_files import SqsImportQueue

        return SqsImportQueue(self.aws("sqs"), self.config.import_queue_url)

    def import_use_cases(self) -> ImportUseCases:
        from revops.api.imports import ImportUseCases
        from revops.channels.imports.service import CancelImport, ReadImports, RequestImport

        return ImportUseCases(
            RequestImport(self.table, self.clock, self.ids, self.policy, self.import_files),
            ReadImports(self.table, self.clock, self.policy, self.import_files),
            CancelImport(self.table, self.clock, self.policy, self.import_queue),
        )

    @cached_property
    def _lookups(self) -> Executor:
        return ThreadPoolExecutor(LOOKUPS)

    def _store_rows(self, job: ImportJob, hold: Hold, call: CallContext) -> StoreRows:
        from revops.channels.imports.blocks import StoreRows
        from revops.crm.many import FindKnown
        from revops.crm.tickets import LeaseTickets

        find = FindKnown(self.table, self.settings, self._lookups)
        leases = LeaseTickets(self.table, self.clock)
        return StoreRows(self.table, self.clock, self.submit_lead, find, leases, job, hold, call)

    def handle_import_message(self) -> HandleImportMessage:
        from revops.channels.imports.messages import HandleImportMessage
        from revops.channels.imports.work import RunImport

        return HandleImportMessage(
            RunImport(self.table, self.clock, self.import_files, self.import_queue, self.settings, self._store_rows)
        )
